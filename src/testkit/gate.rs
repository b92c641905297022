//! Between an agent and a service, on the network: lets everything through, or nothing, or answers as a storage service
//! that is busy.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    Open,
    /// Connections end at once, those that were there too.
    Closed,
    /// Every request is answered with 503 `ServerBusy`.
    Busy,
}

pub struct Gate {
    address: SocketAddr,
    mode: watch::Sender<Mode>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Gate {
    pub async fn new(behind: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (mode, watched) = watch::channel(Mode::Open);
        let task = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                let mut watched = watched.clone();
                tokio::spawn(async move {
                    let now = *watched.borrow_and_update();
                    tokio::select! {
                        _ = serve(stream, now, behind) => {}
                        _ = watched.changed() => {}
                    }
                });
            }
        });
        Self { address, mode, task }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

async fn serve(mut stream: TcpStream, mode: Mode, behind: SocketAddr) -> std::io::Result<()> {
    match mode {
        Mode::Open => {
            let mut service = TcpStream::connect(behind).await?;
            copy_bidirectional(&mut stream, &mut service).await?;
        }
        Mode::Closed => {}
        Mode::Busy => {
            let mut head = Vec::new();
            while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                if stream.read_buf(&mut head).await? == 0 {
                    return Ok(());
                }
            }
            let busy = "HTTP/1.1 503 Service Unavailable\r\nx-ms-error-code: ServerBusy\r\nRetry-After: 1\r\n\
                        Content-Length: 0\r\nConnection: close\r\n\r\n";
            stream.write_all(busy.as_bytes()).await?;
            // What else the client sends of its request; an early end would break its connection before it reads the answer.
            tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
        }
    }
    Ok(())
}
