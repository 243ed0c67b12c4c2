//! One file, whatever happens on the way: it goes on where it was cut, and is in its place only when it is right.

use std::io;
use std::path::Path;

use reqwest::Url;
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE};
use reqwest::{Response, StatusCode};
use sha2::{Digest, Sha256};

use super::hub_client::HubClient;
use super::patience::{Effort, Patience};
use super::trouble::Trouble;
use super::{Growth, RemoteFile};
use crate::files::Partial;
use crate::hex::hex;

/// What comes in between two failures, for the first not to count any more.
const PROGRESS: u64 = 1 << 20;

/// Where a file comes from, and where it goes.
pub struct Transfer<'a> {
    pub client: &'a HubClient,
    pub url: Url,
    pub file: &'a RemoteFile,
    /// Where it grows; kept when it is cut.
    pub partial: &'a Path,
    pub target: &'a Path,
}

impl Transfer<'_> {
    /// Tries until the file is in its place, it can't be, or patience ends. What is wrong as a whole is tried twice.
    pub fn run(&self, growth: &mut Growth) -> Result<(), Trouble> {
        let what = self.file.path.clone();
        let mut growing = Growing::open(self.partial).map_err(Trouble::Disk)?;
        let (mut patience, mut counted, mut is_second) = (Patience::new(Effort::Persistent), growing.length(), false);
        loop {
            let trouble = match self.attempt(&mut growing, growth) {
                Ok(()) => return growing.partial.place(self.target).map_err(Trouble::Disk),
                Err(trouble) => trouble,
            };
            if growing.length() >= counted + PROGRESS {
                patience.renew();
            }
            counted = growing.length();
            match trouble {
                Trouble::Wrong(why) if !is_second => {
                    growth.watcher.notice(&format!("{what}: {why}; downloading it once more"));
                    growing.restart().map_err(Trouble::Disk)?;
                    (is_second, counted) = (true, 0);
                }
                Trouble::Wrong(why) => {
                    growing.partial.discard().map_err(Trouble::Disk)?;
                    return Err(Trouble::Wrong(why));
                }
                trouble => patience.after(trouble, &what, growth.watcher)?,
            }
        }
    }

    fn attempt(&self, growing: &mut Growing, growth: &mut Growth) -> Result<(), Trouble> {
        let size = self.file.size;
        if growing.length() > size {
            growing.restart().map_err(Trouble::Disk)?;
        }
        growth.tell(growing.length(), size);
        if growing.length() < size {
            self.receive(growing, growth)?;
        }
        match growing.length() {
            length if length < size => {
                Err(Trouble::Broken(format!("the connection ended after {length} of {size} bytes")))
            }
            _ => growing.check(self.file),
        }
    }

    /// From where it was cut, unless the server begins anew.
    fn receive(&self, growing: &mut Growing, growth: &mut Growth) -> Result<(), Trouble> {
        let (size, from) = (self.file.size, growing.length());
        let growing = std::cell::RefCell::new(growing);
        let growth = std::cell::RefCell::new(growth);
        let begun = |answer: &Response| growing.borrow_mut().begin(answer, from, size);
        let piece = |bytes: &[u8]| {
            let mut growing = growing.borrow_mut();
            growing.append(bytes, size)?;
            growth.borrow_mut().tell(growing.length(), size);
            Ok(())
        };
        let stopped = || growth.borrow().watcher.is_stopped();
        let received = self.client.stream(&self.url, from, begun, piece, stopped);
        if let Err(trouble) = &received
            && trouble.status() == Some(StatusCode::RANGE_NOT_SATISFIABLE.as_u16())
        {
            // It isn't the beginning of what is there now.
            return Err(Trouble::Wrong("the hub's file has become another one".to_owned()));
        }
        received
    }
}

/// A file that isn't whole yet, and the hash of what there is.
struct Growing {
    partial: Partial,
    hash: Sha256,
}

impl Growing {
    fn open(path: &Path) -> io::Result<Self> {
        let mut hash = Sha256::new();
        let partial = Partial::open(path, |bytes| hash.update(bytes))?;
        Ok(Self { partial, hash })
    }

    fn length(&self) -> u64 {
        self.partial.length()
    }

    fn restart(&mut self) -> io::Result<()> {
        self.hash = Sha256::new();
        self.partial.restart()
    }

    /// Does the answer go on from there? What it says of the whole must be what the hub listed.
    fn begin(&mut self, answer: &Response, from: u64, size: u64) -> Result<(), Trouble> {
        let header = |name| answer.headers().get(name)?.to_str().ok();
        let length = || header(CONTENT_LENGTH)?.parse::<u64>().ok();
        let announced = match answer.status() {
            StatusCode::PARTIAL_CONTENT => {
                let range = header(CONTENT_RANGE).and_then(content_range);
                let (start, whole) =
                    range.ok_or_else(|| wrong("the hub answers with a part, and doesn't say which"))?;
                if start != from {
                    return Err(wrong(&format!("the hub was asked to go on from byte {from}, and did from {start}")));
                }
                whole.or_else(|| Some(from + length()?))
            }
            _ => {
                if from > 0 {
                    self.restart().map_err(Trouble::Disk)?;
                }
                length()
            }
        };
        match announced {
            Some(announced) if announced != size => {
                Err(wrong(&format!("the file has {announced} bytes, but the hub lists {size}")))
            }
            _ => Ok(()),
        }
    }

    fn append(&mut self, bytes: &[u8], size: u64) -> Result<(), Trouble> {
        if self.length() + bytes.len() as u64 > size {
            return Err(wrong(&format!("the file has more than the {size} bytes that the hub lists")));
        }
        self.hash.update(bytes);
        self.partial.append(bytes).map_err(Trouble::Disk)
    }

    fn check(&self, file: &RemoteFile) -> Result<(), Trouble> {
        let found = hex(&self.hash.clone().finalize());
        match &file.sha256 {
            Some(listed) if *listed != found => {
                Err(wrong(&format!("its SHA-256 is {}..., but the hub lists {}...", &found[..12], &listed[..12])))
            }
            _ => Ok(()),
        }
    }
}

fn wrong(why: &str) -> Trouble {
    Trouble::Wrong(why.to_owned())
}

/// `bytes 5-9/10`: the first, and how many there are of the whole.
fn content_range(header: &str) -> Option<(u64, Option<u64>)> {
    let (range, whole) = header.trim().strip_prefix("bytes")?.trim_start().split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.trim().parse().ok()?, whole.trim().parse().ok()))
}
