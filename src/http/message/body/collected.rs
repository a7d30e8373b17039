//! Reads a response in whole before it is sent, as far as it may be kept.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use bytes::BytesMut;
use http_body_util::BodyExt as _;
use hyper::Response;
use hyper::body::Body;
use hyper::body::Frame;

use crate::http::message::body::outgoing::CutShort;
use crate::http::message::body::outgoing::ResponseBody;
use crate::token::Answer;
use crate::token::answer::ANSWER_BODY_BYTES_MAX;

/// What was taken in.
pub(crate) enum Collected {
    /// All of it.
    Whole(Answer),
    /// More than may be kept, or something that cannot be: it did not end in time, ends in
    /// trailers, or leaves HTTP.
    TooLarge,
    /// It broke off.
    CutShort,
}

/// How taking in a body ended.
enum StreamEnd {
    Whole,
    TooLarge,
    CutShort,
}

/// Takes in a response for `timeout` at most; the response says the same as before.
pub(crate) async fn collect(
    response: Response<ResponseBody>,
    timeout: Duration,
) -> (Collected, Response<ResponseBody>) {
    if response.status().is_informational() {
        return (Collected::TooLarge, response);
    }
    let (head, body) = response.into_parts();
    let mut passed = Passed { front: VecDeque::new(), rest: body };
    // A frame is never lost when the time is over: it is in front as soon as it is there.
    let end = tokio::time::timeout(timeout, passed.take_in()).await.unwrap_or(StreamEnd::TooLarge);
    if let StreamEnd::Whole = end {
        let body = passed.whole();
        let headers = head.headers.iter();
        let headers =
            headers.map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
        let (status, headers) = (head.status.as_u16(), headers.collect());
        let answer = Answer { status, headers, body: body.to_vec() };
        let collected = if answer.fits() { Collected::Whole(answer) } else { Collected::TooLarge };
        return (collected, Response::from_parts(head, ResponseBody::from(body)));
    }
    let collected = match end {
        StreamEnd::CutShort => Collected::CutShort,
        StreamEnd::Whole | StreamEnd::TooLarge => Collected::TooLarge,
    };
    (collected, Response::from_parts(head, ResponseBody::stream(passed)))
}

/// A body whose beginning was taken in.
struct Passed {
    front: VecDeque<Result<Frame<Bytes>, CutShort>>,
    rest: ResponseBody,
}

impl Passed {
    async fn take_in(&mut self) -> StreamEnd {
        let mut bytes = 0;
        while let Some(frame) = self.rest.frame().await {
            let end = match &frame {
                Err(_) => Some(StreamEnd::CutShort),
                Ok(frame) => match frame.data_ref() {
                    Some(data) => {
                        bytes += data.len();
                        (bytes > ANSWER_BODY_BYTES_MAX).then_some(StreamEnd::TooLarge)
                    }
                    None => Some(StreamEnd::TooLarge),
                },
            };
            self.front.push_back(frame);
            if let Some(end) = end {
                return end;
            }
        }
        StreamEnd::Whole
    }

    fn whole(self) -> Bytes {
        let mut frames =
            self.front.into_iter().flatten().filter_map(|frame| frame.into_data().ok());
        let first = frames.next().unwrap_or_default();
        let Some(second) = frames.next() else { return first };
        let mut whole = BytesMut::from(first);
        whole.extend_from_slice(&second);
        frames.for_each(|frame| whole.extend_from_slice(&frame));
        whole.freeze()
    }
}

impl Body for Passed {
    type Data = Bytes;
    type Error = CutShort;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutShort>>> {
        let passed = self.get_mut();
        match passed.front.pop_front() {
            Some(frame) => Poll::Ready(Some(frame)),
            None => Pin::new(&mut passed.rest).poll_frame(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_mins(10);

    /// A body of these frames; `None` is where it breaks off.
    fn streamed(frames: Vec<Option<&'static [u8]>>) -> Response<ResponseBody> {
        let frames = frames.into_iter().map(|frame| match frame {
            Some(data) => Ok(Frame::data(Bytes::from_static(data))),
            None => Err("the upstream went away"),
        });
        let frames = frames.collect::<VecDeque<_>>();
        Response::new(ResponseBody::stream(Frames(frames)))
    }

    struct Frames(VecDeque<Result<Frame<Bytes>, &'static str>>);

    impl Body for Frames {
        type Data = Bytes;
        type Error = &'static str;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
            Poll::Ready(self.get_mut().0.pop_front())
        }
    }

    /// Says one thing and then nothing for ever.
    struct Stuck(Option<&'static str>);

    impl Body for Stuck {
        type Data = Bytes;
        type Error = &'static str;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
            match self.get_mut().0.take() {
                Some(text) => Poll::Ready(Some(Ok(Frame::data(Bytes::from(text))))),
                None => Poll::Pending,
            }
        }
    }

    async fn sent(response: Response<ResponseBody>) -> Result<Bytes, CutShort> {
        response.into_body().collect().await.map(http_body_util::Collected::to_bytes)
    }

    #[tokio::test]
    async fn a_stream_that_ends_within_the_bound_is_kept_and_sent_alike() {
        let (collected, response) =
            collect(streamed(vec![Some(b"ab"), Some(b""), Some(b"c")]), LONG).await;
        let Collected::Whole(answer) = collected else { panic!("it was not taken in") };
        assert_eq!((answer.status, &answer.body[..]), (200, &b"abc"[..]));
        assert_eq!(sent(response).await.unwrap(), "abc");
    }

    #[tokio::test]
    async fn a_stream_beyond_the_bound_is_passed_on_whole_and_not_kept() {
        static HALF: [u8; ANSWER_BODY_BYTES_MAX / 2] = [7; ANSWER_BODY_BYTES_MAX / 2];
        let exact = vec![Some(&HALF[..]), Some(&HALF[..])];
        let (collected, response) = collect(streamed(exact.clone()), LONG).await;
        assert!(matches!(collected, Collected::Whole(_)));
        assert_eq!(sent(response).await.unwrap().len(), ANSWER_BODY_BYTES_MAX);
        let more = [exact, vec![Some(&b"x"[..]), Some(&b"y"[..])]].concat();
        let (collected, response) = collect(streamed(more), LONG).await;
        assert!(matches!(collected, Collected::TooLarge));
        let body = sent(response).await.unwrap();
        assert!(body.len() == ANSWER_BODY_BYTES_MAX + 2 && body.ends_with(b"\x07xy"));
    }

    #[tokio::test]
    async fn a_stream_that_breaks_off_breaks_off_for_the_client_too() {
        let (collected, response) = collect(streamed(vec![Some(b"ab"), None]), LONG).await;
        assert!(matches!(collected, Collected::CutShort));
        assert!(sent(response).await.is_err());
    }

    #[tokio::test]
    async fn a_stream_that_does_not_end_in_time_is_passed_on_as_it_comes() {
        let response = Response::new(ResponseBody::stream(Stuck(Some("first"))));
        let (collected, response) = collect(response, Duration::from_millis(1)).await;
        assert!(matches!(collected, Collected::TooLarge));
        let mut body = response.into_body();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "first");
    }
}
