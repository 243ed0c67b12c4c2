//! A socket beside the process's file, at which whoever runs a program says what it does now, without a change to the program:
//! a line `phase NAME` begins a phase, a line `write` brings everything into the file. Each is answered with `ok` once it is
//! done, so that what is asked of the program afterwards comes after it.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use super::background;

/// Who says nothing for longer has to come again: others wait.
const PATIENCE: Duration = Duration::from_secs(1);
/// Bytes of everything that one says.
const MOST: u64 = 1 << 20;

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order<'a> {
    Phase(&'a str),
    Write,
}

/// Takes orders from now on. Where there can be no socket, nobody finds one.
pub fn listen(path: &Path, obey: impl Fn(Order) + Send + 'static) {
    let Ok(listener) = UnixListener::bind(path) else { return };
    let serve = move || listener.incoming().flatten().for_each(|client| drop(take_orders(client, &obey)));
    background::spawn("bench-diff-ask", serve);
}

fn take_orders(mut client: UnixStream, obey: impl Fn(Order)) -> std::io::Result<()> {
    client.set_read_timeout(Some(PATIENCE))?;
    client.set_write_timeout(Some(PATIENCE))?;
    let lines = BufReader::new(client.try_clone()?.take(MOST)).lines();
    for line in lines {
        let line = line?;
        let answer = match order(&line) {
            Some(order) => {
                obey(order);
                "ok\n"
            }
            None => "unknown\n",
        };
        client.write_all(answer.as_bytes())?;
    }
    Ok(())
}

fn order(line: &str) -> Option<Order<'_>> {
    match line.split_once(' ') {
        Some(("phase", name)) => Some(Order::Phase(name)),
        None if line == "write" => Some(Order::Write),
        _ => None,
    }
}
