//! Asks over connections that stay open, one request at a time on each.
//!
//! A thread goes round its connections: it takes the answer of one, sends that one's next request, and goes on to the next. So
//! all of them are under way while it waits for none but the slowest, without a poller or a runtime in between.

use std::io::{IoSlice, Read as _, Write as _};
use std::net::TcpStream;

use anyhow::{Context, Result, bail, ensure};

use crate::emulator::Emulator;
use crate::signed::Request;

pub struct Exchange<'a> {
    pub request: Request,
    pub body: &'a [u8],
    /// Of the answer.
    pub status: u16,
}

pub struct Reply {
    status: u16,
    head: String,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(':'));
        fields.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

/// One request on a connection of its own.
pub fn ask(emulator: &Emulator, request: &Request, body: &[u8], status: u16) -> Result<Reply> {
    let mut lane = Lane::open(emulator)?;
    lane.send(&request.head, body)?;
    let reply = lane.receive(request.head.starts_with(b"HEAD "))?;
    expect(&reply, status)?;
    Ok(reply)
}

/// Each lane is a connection; the lanes are shared out among the threads.
pub fn run(emulator: &Emulator, lanes: &[Vec<Exchange<'_>>], threads: usize) -> Result<()> {
    std::thread::scope(|scope| {
        let share = lanes.len().div_ceil(threads);
        let running: Vec<_> =
            lanes.chunks(share).map(|lanes| scope.spawn(move || go_round(emulator, lanes))).collect();
        running.into_iter().try_for_each(|thread| match thread.join() {
            Ok(outcome) => outcome,
            Err(_) => bail!("a thread of the loader panicked"),
        })
    })
}

fn go_round(emulator: &Emulator, work: &[Vec<Exchange<'_>>]) -> Result<()> {
    let mut lanes = Vec::new();
    for exchanges in work.iter().filter(|exchanges| !exchanges.is_empty()) {
        let mut lane = Lane::open(emulator)?;
        lane.send(&exchanges[0].request.head, exchanges[0].body)?;
        lanes.push((lane, exchanges.as_slice()));
    }
    while !lanes.is_empty() {
        for (lane, left) in &mut lanes {
            let reply = lane.receive(false)?;
            expect(&reply, left[0].status)?;
            *left = &left[1..];
            if let Some(next) = left.first() {
                lane.send(&next.request.head, next.body)?;
            }
        }
        lanes.retain(|(_, left)| !left.is_empty());
    }
    Ok(())
}

fn expect(reply: &Reply, status: u16) -> Result<()> {
    let body = || String::from_utf8_lossy(&reply.body).into_owned();
    ensure!(
        reply.status == status,
        "answered with {} and not {status}: {} {}",
        reply.status,
        reply.head,
        body()
    );
    Ok(())
}

struct Lane {
    socket: TcpStream,
    received: Vec<u8>,
}

impl Lane {
    fn open(emulator: &Emulator) -> Result<Self> {
        let socket = TcpStream::connect(emulator.address).context("cannot connect to the emulator")?;
        socket.set_nodelay(true)?;
        Ok(Self { socket, received: Vec::new() })
    }

    fn send(&mut self, head: &[u8], body: &[u8]) -> Result<()> {
        let mut parts = [IoSlice::new(head), IoSlice::new(body)];
        let mut parts = parts.as_mut_slice();
        while parts.iter().any(|part| !part.is_empty()) {
            let written = self.socket.write_vectored(parts)?;
            ensure!(written > 0, "the emulator takes nothing more");
            IoSlice::advance_slices(&mut parts, written);
        }
        Ok(())
    }

    fn receive(&mut self, without_body: bool) -> Result<Reply> {
        self.received.clear();
        let mut scanned = 0;
        let head_end = loop {
            let found = self.received[scanned..].windows(4).position(|part| part == b"\r\n\r\n");
            if let Some(at) = found {
                break scanned + at + 4;
            }
            scanned = self.received.len().saturating_sub(3);
            self.more()?;
        };
        let head = String::from_utf8(self.received[..head_end].to_vec())?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let mut reply = Reply { status: status.context("that is no answer")?, head, body: Vec::new() };
        if !without_body {
            let length: usize = reply.header("content-length").map_or(Ok(0), str::parse)?;
            while self.received.len() < head_end + length {
                self.more()?;
            }
            reply.body = self.received.split_off(head_end);
        }
        Ok(reply)
    }

    fn more(&mut self) -> Result<()> {
        let filled = self.received.len();
        self.received.resize(filled + 64 * 1024, 0);
        let read = self.socket.read(&mut self.received[filled..])?;
        self.received.truncate(filled + read);
        ensure!(read > 0, "the emulator closed the connection");
        Ok(())
    }
}
