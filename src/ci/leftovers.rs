//! The output directory: what an earlier `ci` left there must never be taken for this one's.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::files::leftover::{is_regular, refuse_somebodys, remove};
use crate::files::{self, Folder};
use crate::report;

/// What is made from the measurements, and made anew also when these are carried on.
pub const REPORT: &str = "report.json";
/// The measurements that `--resume` carries on.
const MEASUREMENTS: [&str; 5] =
    ["results.json", "base.json", "confirm-results.json", "confirm-base.json", "confirm-base-again.json"];
/// What they are of.
const CHECKOUT: &str = "checkout.json";

/// What is checked out where something is measured. A program may not know what it was built from, or may run what lies
/// there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkout {
    /// `None` where nothing says it.
    pub commit: Option<String>,
    /// What tells its changes from others; `None` where there are none.
    pub changes: Option<String>,
}

/// `1111111 with changes`
impl fmt::Display for Checkout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.commit.as_deref().unwrap_or("an unknown commit"))?;
        f.write_str(if self.changes.is_some() { " with changes" } else { "" })
    }
}

/// The last report of numbers, while a measurement that is carried on has none.
const PREVIOUS: &str = "previous-report.json";

/// Refuses a directory that somebody named, and in which files of our names are somebody's: no `ci` has left what it writes
/// beside its measurements.
pub fn check_whose(directory: &Path) -> Result<()> {
    let is_ours = has_checkout(directory) || [REPORT, PREVIOUS].iter().any(|name| is_report(&directory.join(name)));
    if is_ours {
        return Ok(());
    }
    let names: Vec<&str> = [REPORT, PREVIOUS, CHECKOUT].into_iter().chain(MEASUREMENTS).collect();
    refuse_somebodys(directory, &names, "bench-diff ci")
}

/// Both fields are written always.
fn has_checkout(directory: &Path) -> bool {
    let path = directory.join(CHECKOUT);
    let noted = if path.is_file() { fs::read(path).ok() } else { None };
    let noted = noted.and_then(|text| serde_json::from_slice::<serde_json::Map<_, _>>(&text).ok());
    noted.is_some_and(|noted: serde_json::Map<String, serde_json::Value>| {
        ["commit", "changes"].iter().all(|field| noted.contains_key(*field))
    })
}

fn is_report(path: &Path) -> bool {
    path.is_file() && report::read(path).is_ok()
}

/// Removes the files that this `ci` will write, and nothing else: what isn't a regular file is somebody's. A measurement that
/// is carried on may be refused: until it has a report, the one of before stays, under a name that nobody publishes.
pub fn clear(directory: &Path, resume: bool) -> Result<()> {
    let remove = |name: &&str| remove(&directory.join(name));
    if resume {
        put_by(directory)?;
        MEASUREMENTS.iter().try_for_each(|name| is_regular(&directory.join(name)).map(drop))?;
        return remove(&REPORT);
    }
    // Last what says whose the others are: whatever ends this in the middle leaves a folder of ours.
    [REPORT, PREVIOUS].iter().chain(&MEASUREMENTS).chain(&[CHECKOUT]).try_for_each(remove)
}

#[expect(clippy::disallowed_methods, reason = "a report that is whole, from one of our names to another")]
fn put_by(directory: &Path) -> Result<()> {
    let [report, previous] = [REPORT, PREVIOUS].map(|name| directory.join(name));
    if !is_regular(&report)? || !has_numbers(&report) {
        return Ok(());
    }
    is_regular(&previous)?;
    fs::rename(&report, &previous)
        .map_err(|error| Error::usage(format!("can't keep the report {}", report.display())).because(error))
}

fn has_numbers(path: &Path) -> bool {
    report::read(path).is_ok_and(|report| report.failure().is_none())
}

/// The report of before, where this measurement has none of numbers; else it has had its time.
pub fn previous_report(directory: &Path) -> Result<Option<PathBuf>> {
    let previous = directory.join(PREVIOUS);
    if !is_regular(&previous)? {
        return Ok(None);
    }
    if has_numbers(&directory.join(REPORT)) {
        remove(&previous)?;
        return Ok(None);
    }
    Ok(Some(previous))
}

/// Notes what the measurements that follow are of. Those of something else are not carried on.
pub fn begin(directory: &Folder, checkout: &Checkout, resume: bool) -> Result<()> {
    let path = directory.join(CHECKOUT);
    if resume && MEASUREMENTS.iter().any(|name| directory.join(name).exists()) {
        may_carry_on(directory.path(), &path, checkout)?;
    }
    files::write(&path, |out| Ok(serde_json::to_writer(out, checkout)?))
}

fn may_carry_on(directory: &Path, noted: &Path, now: &Checkout) -> Result<()> {
    let directory = directory.display();
    let refused =
        |why: String, hint: &str| Err(Error::usage(format!("can't resume what is in {directory}: {why}")).hint(hint));
    let then = fs::read(noted).ok().and_then(|text| serde_json::from_slice::<Checkout>(&text).ok());
    match then {
        None => refused("nothing says which commit it is of".to_owned(), "start anew without --resume"),
        Some(then) if then == *now => Ok(()),
        Some(then) if then.commit == now.commit => refused(
            "files that git knows have changed since".to_owned(),
            "change them back, or start anew without --resume",
        ),
        Some(then) => refused(
            format!("it is of {then}, and this is {now}"),
            "check that commit out again, or start anew without --resume",
        ),
    }
}
