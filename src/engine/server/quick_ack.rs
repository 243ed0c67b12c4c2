//! Acknowledges at once what arrives. The system waits up to 40 ms with that, and a server whose sockets delay small writes
//! (Nagle's algorithm; Python's http.server does) sends nothing more until then, and many tokens at once after it.

#![cfg_attr(target_os = "linux", expect(unsafe_code, reason = "borrows a socket that the HTTP client keeps to itself"))]

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use hyper_util::client::legacy::connect::HttpInfo;
use reqwest::Response;

/// The connection of an answer, where it was found.
pub struct QuickAck(Option<OwnedFd>);

impl QuickAck {
    /// The connection that `answer` comes from.
    pub fn of(answer: &Response) -> Self {
        let local = answer.extensions().get::<HttpInfo>().map(HttpInfo::local_addr);
        Self(local.and_then(socket_at))
    }

    /// Acknowledges what was read, and what comes next. The system goes back to waiting, so this is said after each read.
    pub fn now(&self) {
        #[cfg(target_os = "linux")]
        if let Some(socket) = &self.0 {
            // Without it, times are what they are for other clients.
            let _ = socket2::SockRef::from(socket).set_tcp_quickack(true);
        }
    }
}

/// Our end of a connection is known by its address, which no other socket has.
#[cfg(target_os = "linux")]
fn socket_at(local: SocketAddr) -> Option<OwnedFd> {
    use std::os::fd::{BorrowedFd, RawFd};

    let is_it = |socket: &BorrowedFd| {
        let address = socket2::SockRef::from(socket).local_addr();
        address.is_ok_and(|address| address.as_socket() == Some(local))
    };
    let open = std::fs::read_dir("/proc/self/fd").ok()?;
    let numbers = open.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<RawFd>().ok());
    // SAFETY: each was open when it was listed. One that another thread closes meanwhile is only asked for its address,
    // which fails. The one that is taken stays open: its connection is being read, by this thread.
    let mut sockets = numbers.map(|number| unsafe { BorrowedFd::borrow_raw(number) });
    sockets.find(is_it)?.try_clone_to_owned().ok()
}

#[cfg(not(target_os = "linux"))]
fn socket_at(_: SocketAddr) -> Option<OwnedFd> {
    None
}
