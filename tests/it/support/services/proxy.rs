//! A proxy in front of a database, whose weather a test makes, and which counts round trips.
//!
//! It knows nothing of what is said. What it holds up it forwards when the weather is fair again,
//! as a network does that sends lost packets once more: a word that nobody waits for any longer
//! still comes, late.

use std::io;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::net::tcp::ReadHalf;
use tokio::net::tcp::WriteHalf;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

/// What happens to what is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weather {
    Fair,
    /// Every connection is cut, and new ones are reset.
    Down,
    /// Connections are accepted, and nobody hears anything.
    Blackhole,
    /// Nobody hears this side.
    OneWay(Side),
    /// Every piece comes later by this time.
    Slow(Duration),
    /// After its next word this side is taken for silent for good; the other may still speak.
    HalfClosed(Side),
    /// A connection is reset when it has carried so many bytes more, in the middle of a word.
    Reset(usize),
    /// The server does what it is asked; its answer is lost, and the connection with it.
    ReplyLost,
    /// The same once, and then it is fair again.
    OneReplyLost,
    /// One answer never comes, nor anything else on its connection; all others are fair again.
    OneReplyHeld,
}

/// A listener, and whom it stands in front of. It ends when this is dropped.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    inside: Arc<Inside>,
    accepting: JoinHandle<()>,
}

struct Inside {
    aim: Mutex<SocketAddr>,
    weather: watch::Sender<Weather>,
    /// Moves when every connection is to be cut.
    cuts: watch::Sender<u64>,
    trips: AtomicU64,
    connections: AtomicUsize,
}

/// One connection.
struct Line {
    inside: Arc<Inside>,
    /// Who spoke last: 0 nobody, 1 the client, 2 the server.
    last: AtomicU8,
    /// Bytes that were carried since it was opened.
    carried: AtomicUsize,
}

/// How one direction of a connection ended.
enum End {
    /// Its speaker has said all.
    Closed,
    /// Both directions end, as if a network had lost the connection.
    Cut,
}

impl Weather {
    fn holds(self, from: Side) -> bool {
        matches!(self, Self::Blackhole) || self == Self::OneWay(from)
    }
}

impl Proxy {
    /// A proxy in front of `aim`, in fair weather.
    pub(crate) async fn to(aim: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let inside = Arc::new(Inside {
            aim: Mutex::new(aim),
            weather: watch::Sender::new(Weather::Fair),
            cuts: watch::Sender::new(0),
            trips: AtomicU64::new(0),
            connections: AtomicUsize::new(0),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&inside)));
        Self { address, inside, accepting }
    }

    /// Leads new connections elsewhere; those that are open stay where they are.
    pub(crate) fn aim(&self, aim: SocketAddr) {
        *self.inside.aim.lock().unwrap() = aim;
    }

    pub(crate) fn set(&self, weather: Weather) {
        self.inside.weather.send_replace(weather);
        if weather == Weather::Down {
            self.cut();
        }
    }

    /// Cuts every connection there is.
    pub(crate) fn cut(&self) {
        self.inside.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// How often a server has begun to answer what a client said, on all connections together.
    pub(crate) fn trips(&self) -> u64 {
        self.inside.trips.load(Ordering::SeqCst)
    }

    /// Connections that were ever opened.
    pub(crate) fn connections(&self) -> usize {
        self.inside.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

impl Inside {
    /// Makes it fair again; whether that was the caller's doing.
    fn clears(&self, weather: Weather) -> bool {
        self.weather.send_if_modified(|now| {
            let was = *now == weather;
            *now = if was { Weather::Fair } else { *now };
            was
        })
    }
}

async fn accept(listener: TcpListener, inside: Arc<Inside>) {
    while let Ok((client, _)) = listener.accept().await {
        tokio::spawn(carry(client, Arc::clone(&inside)));
    }
}

/// One connection, from its first byte to its last.
async fn carry(mut client: TcpStream, inside: Arc<Inside>) {
    let mut cuts = inside.cuts.subscribe();
    inside.connections.fetch_add(1, Ordering::SeqCst);
    let aim = *inside.aim.lock().unwrap();
    let weather = *inside.weather.borrow();
    let server = match weather {
        Weather::Down => None,
        _ => TcpStream::connect(aim).await.ok(),
    };
    let Some(mut server) = server else { return drop(client.set_zero_linger()) };
    if client.set_nodelay(true).and(server.set_nodelay(true)).is_err() {
        return;
    }
    let line = Line { inside, last: AtomicU8::new(0), carried: AtomicUsize::new(0) };
    let end = tokio::select! {
        end = line.carry(&mut client, &mut server) => end,
        _ = cuts.changed() => End::Cut,
    };
    if let End::Cut = end {
        // Whoever is cut off hears no farewell. One that has gone already is told nothing.
        let _ = client.set_zero_linger();
        let _ = server.set_zero_linger();
    }
}

impl Line {
    /// Carries both directions; one that is closed leaves the other open.
    async fn carry(&self, client: &mut TcpStream, server: &mut TcpStream) -> End {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let there = self.pump(Side::Client, from_client, to_server);
        let back = self.pump(Side::Server, from_server, to_client);
        tokio::pin!(there, back);
        let (first, there_ended) = tokio::select! {
            end = &mut there => (end, true),
            end = &mut back => (end, false),
        };
        match first {
            End::Cut => End::Cut,
            End::Closed if there_ended => back.await,
            End::Closed => there.await,
        }
    }

    /// Carries what one side says until it has said all or the connection breaks.
    async fn pump(&self, from: Side, mut source: ReadHalf<'_>, mut sink: WriteHalf<'_>) -> End {
        let mut weather = self.inside.weather.subscribe();
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let Ok(count) = source.read(&mut buffer).await else { return End::Cut };
            let Ok(now) = weather.wait_for(|weather| !weather.holds(from)).await.map(|now| *now)
            else {
                return End::Cut;
            };
            if count == 0 {
                return if sink.shutdown().await.is_ok() { End::Closed } else { End::Cut };
            }
            match self.forward(now, from, &buffer[..count], &mut sink).await {
                Ok(None) => {}
                Ok(Some(end)) => return end,
                Err(_) => return End::Cut,
            }
        }
    }

    /// Carries one piece through this weather; whether that was the last.
    async fn forward(
        &self,
        weather: Weather,
        from: Side,
        piece: &[u8],
        sink: &mut WriteHalf<'_>,
    ) -> io::Result<Option<End>> {
        match weather {
            Weather::Slow(by) => tokio::time::sleep(by).await,
            Weather::ReplyLost if from == Side::Server => return Ok(Some(End::Cut)),
            Weather::OneReplyLost if from == Side::Server && self.inside.clears(weather) => {
                return Ok(Some(End::Cut));
            }
            Weather::OneReplyHeld if from == Side::Server && self.inside.clears(weather) => {
                std::future::pending::<()>().await;
            }
            Weather::Reset(after) => {
                let carried = self.carried.fetch_add(piece.len(), Ordering::SeqCst);
                let room = after.saturating_sub(carried);
                if room < piece.len() {
                    sink.write_all(&piece[..room]).await?;
                    return Err(ErrorKind::ConnectionReset.into());
                }
            }
            _ => {}
        }
        self.count(from);
        sink.write_all(piece).await?;
        if weather == Weather::HalfClosed(from) {
            sink.shutdown().await?;
            return Ok(Some(End::Closed));
        }
        Ok(None)
    }

    /// A round trip has come back when the server speaks after the client.
    fn count(&self, from: Side) {
        let mark = if from == Side::Client { 1 } else { 2 };
        if self.last.swap(mark, Ordering::SeqCst) == 1 && from == Side::Server {
            self.inside.trips.fetch_add(1, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that answers each word with itself.
    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut source, mut sink) = stream.split();
                    tokio::io::copy(&mut source, &mut sink).await
                });
            }
        });
        address
    }

    async fn client(proxy: &Proxy) -> TcpStream {
        TcpStream::connect(proxy.address).await.unwrap()
    }

    /// What comes back for this word within a moment; `None` for nothing so far.
    async fn say(client: &mut TcpStream, word: &str) -> Option<io::Result<String>> {
        if let Err(error) = client.write_all(word.as_bytes()).await {
            return Some(Err(error));
        }
        hear(client).await
    }

    async fn hear(client: &mut TcpStream) -> Option<io::Result<String>> {
        let mut buffer = [0; 64];
        let heard = tokio::time::timeout(Duration::from_millis(300), client.read(&mut buffer));
        let count = match heard.await.ok()? {
            Ok(count) => count,
            Err(error) => return Some(Err(error)),
        };
        Some(Ok(String::from_utf8_lossy(&buffer[..count]).into_owned()))
    }

    fn text(heard: Option<io::Result<String>>) -> String {
        heard.expect("nothing was heard").unwrap()
    }

    #[tokio::test]
    async fn each_weather_does_what_it_says() {
        let proxy = Proxy::to(echo().await).await;
        let mut open = client(&proxy).await;
        assert_eq!(text(say(&mut open, "a").await), "a");
        assert_eq!(text(say(&mut open, "b").await), "b");
        assert_eq!((proxy.trips(), proxy.connections()), (2, 1));

        for held in
            [Weather::Blackhole, Weather::OneWay(Side::Client), Weather::OneWay(Side::Server)]
        {
            proxy.set(held);
            assert!(say(&mut open, "late").await.is_none(), "{held:?}");
            proxy.set(Weather::Fair);
            assert_eq!(text(hear(&mut open).await), "late", "{held:?}");
        }

        proxy.set(Weather::OneReplyHeld);
        let mut other = client(&proxy).await;
        assert!(say(&mut open, "lost").await.is_none());
        assert_eq!(text(say(&mut other, "heard").await), "heard");
        assert!(say(&mut open, "lost as well").await.is_none());

        for lost in [Weather::OneReplyLost, Weather::ReplyLost] {
            let mut open = client(&proxy).await;
            assert_eq!(text(say(&mut open, "c").await), "c");
            proxy.set(lost);
            assert!(say(&mut open, "d").await.unwrap().is_err(), "the connection goes with it");
        }
        proxy.set(Weather::Fair);

        let mut open = client(&proxy).await;
        proxy.set(Weather::Reset(3));
        // A reset may overtake what was carried before it.
        match say(&mut open, "de").await.unwrap() {
            Ok(heard) => assert_eq!(heard, "d", "two bytes there, one back"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }

        proxy.set(Weather::Fair);
        let mut open = client(&proxy).await;
        assert_eq!(text(say(&mut open, "f").await), "f");
        proxy.set(Weather::HalfClosed(Side::Client));
        assert_eq!(text(say(&mut open, "g").await), "g", "its last word is heard");
        assert_eq!(text(hear(&mut open).await), "", "and the answer is the last");

        proxy.set(Weather::Fair);
        let mut open = client(&proxy).await;
        proxy.set(Weather::Down);
        assert!(hear(&mut open).await.unwrap().is_err());
        // The reset may come before whoever connects has noticed that he is connected.
        if let Ok(mut new) = TcpStream::connect(proxy.address).await {
            assert!(say(&mut new, "h").await.unwrap().is_err());
        }
    }
}
