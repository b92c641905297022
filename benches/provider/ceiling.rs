//! A server that answers everything with the same bytes: what web framework, TLS and this machine allow.

use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::{Context, Result};

/// As long as a migrator's document.
const BODY_BYTES: usize = 1000;
/// As many as the provider has.
const WORKERS: usize = 2;

/// Serves until the process ends; the port.
pub fn start(tls: rustls::ServerConfig) -> Result<u16> {
    let (told, port) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let body = web::Bytes::from(vec![b'x'; BODY_BYTES]);
            let server = HttpServer::new(move || {
                let body = body.clone();
                App::new().default_service(web::to(move || {
                    let body = body.clone();
                    async move { HttpResponse::Ok().body(body) }
                }))
            })
            .workers(WORKERS)
            .disable_signals()
            .bind_rustls_0_23(("127.0.0.1", 0), tls)?;
            // Nobody to tell: the benchmark has ended.
            let _ = told.send(server.addrs().first().map(std::net::SocketAddr::port));
            server.run().await
        })
    });
    port.recv()?.context("the server has no address")
}
