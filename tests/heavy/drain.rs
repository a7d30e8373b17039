//! A server that is told to stop while it has much to do (docs/SECURITY.md C-10).

use bytes::Bytes;
use callgate::base::clock::Stopwatch;
use http_body_util::BodyExt;
use http_body_util::Empty;
use hyper::Request;
use hyper::Response;
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::support::Ask;
use crate::support::Connection;
use crate::support::Server;
use crate::support::ServerPlan;
use crate::support::figure;
use crate::support::median;
use crate::support::process::folder;
use crate::support::run;
use crate::support::size;

/// Connections that have been answered and are kept.
const KEPT: usize = 200;
/// Requests under way on HTTP/1.1.
const SLOW: usize = 50;
/// HTTP/2 connections, each with a request under way.
const H2: usize = 20;

#[test]
fn a_server_told_to_stop_answers_everything_it_has_accepted() {
    let drains = size(3, 50);
    let folder = folder();
    // All of them come from one address.
    let plan = ServerPlan::embedded(folder.path()).set("LIMITS_CONNECTIONS_PER_ADDRESS", "0");
    let mut millis = Vec::new();
    run(async {
        for _ in 0..drains {
            millis.push(drain(&plan).await);
        }
    });
    figure(
        "drain",
        format!(
            "{drains} drains x ({KEPT} kept + {SLOW} slow + {H2} HTTP/2 connections + 1 upload): \
             every accepted request answered, exit code 0, median {:.0} ms from the last handler's \
             release to the exit",
            median(millis)
        ),
    );
}

/// One drain; the milliseconds that the server took once the last handler could go on.
async fn drain(plan: &ServerPlan) -> f64 {
    let mut server = plan.start();
    let mut kept = server.connections(KEPT).await;
    for connection in &mut kept {
        connection.ask(&Ask::get("/whoami")).await.unwrap().good();
    }
    let slow = slow_requests(&server).await;
    let streams = streams(&server).await;
    let arrived = Ask::get(&format!("/control/arrivals?count={}", SLOW + H2));
    kept[0].ask(&arrived).await.unwrap().good();
    // An upload that has begun: once the server has stopped accepting, it alone opens the door.
    let mut upload = server.connect().await;
    let open = format!("/control/open?count={}", SLOW + H2);
    let open = Ask::new("POST", &open).body("text/plain", "ab").header("Expect", "100-continue");
    let bytes = open.bytes();
    let (most, last) = bytes.split_at(bytes.len() - 1);
    upload.send(most).await.unwrap();
    // "100 Continue" says that the server has accepted the request and waits for its body.
    assert_eq!(upload.receive(true).await.unwrap().status, 100);

    server.terminate();
    for mut connection in kept {
        connection.closed().await.unwrap();
    }
    assert!(TcpStream::connect(server.address).await.is_err(), "nobody is let in any more");
    let watch = Stopwatch::start();
    upload.send(last).await.unwrap();
    upload.receive(false).await.unwrap().good();
    for answer in slow {
        answer.await.unwrap();
    }
    for answer in streams {
        answer.await.unwrap();
    }
    let status = server.ended();
    let millis = watch.elapsed().as_secs_f64() * 1_000.0;
    assert_eq!(status.code(), Some(0));
    millis
}

/// Requests that wait at the door, each on a connection of its own.
async fn slow_requests(server: &Server) -> Vec<JoinHandle<()>> {
    let begin = |(at, mut connection): (usize, Connection)| {
        tokio::spawn(async move {
            let ask = Ask::get(&format!("/linger?value=slow{at}"));
            let reply = connection.ask(&ask).await.unwrap().good();
            assert_eq!(reply.json()["storage"]["lingered"], format!("slow{at}"));
        })
    };
    server.connections(SLOW).await.into_iter().enumerate().map(begin).collect()
}

/// The same over HTTP/2.
async fn streams(server: &Server) -> Vec<JoinHandle<()>> {
    let mut all = Vec::new();
    for at in 0..H2 {
        let io = TokioIo::new(TcpStream::connect(server.address).await.unwrap());
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);
        let url = format!("http://{}/linger?value=stream{at}", server.address);
        all.push(tokio::spawn(async move {
            let request = Request::get(url).body(Empty::<Bytes>::new()).unwrap();
            let answer: Response<Incoming> = sender.send_request(request).await.unwrap();
            assert_eq!(answer.status(), 200);
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            assert!(String::from_utf8_lossy(&body).contains(&format!("stream{at}")));
        }));
    }
    all
}
