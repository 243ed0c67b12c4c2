//! Adding sessions to a baseline.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};

use super::{MAX_BYTES, Store, hardware, mixing, read_if_there};
use crate::compare::{self, Side};
use crate::error::{Error, Result};
use crate::files::Output;
use crate::results::{Occasions, Outcome, Results, Session};

/// Sessions that a baseline keeps. A history takes five occasions, and old sessions are of old programs.
pub const KEPT_SESSIONS: usize = 10;

/// How a baseline file changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The file.
    pub path: PathBuf,
    /// How many it holds now.
    pub sessions: usize,
    /// When these were measured.
    pub occasions: Occasions,
    /// Sessions that weren't there before; 0 when the file is as it was.
    pub added: usize,
    /// Those of them that make no occasion of their own: another session was measured within hours, or they are copies.
    pub on_known_occasions: usize,
    /// Old sessions that were dropped.
    pub dropped: usize,
}

impl Store {
    /// Adds the sessions of `results` to the current baseline of their suite and hardware, or starts one. With
    /// `replace`, whatever was there is gone.
    ///
    /// Sessions that the baseline holds already are left as they are, so doing it twice changes nothing. Those of another
    /// build that are at another level are refused, unless a new `label` says that they are meant to stand together.
    pub fn update(&self, results: Results, label: Option<&str>, replace: bool) -> Result<Change> {
        let path = self.current(&results.suite, &hardware(&results)?)?;
        add(path, presentable(results)?, label, replace)
    }

    /// The same with several files, whose sessions become one baseline for each suite and hardware.
    pub fn update_all(&self, files: Vec<Results>, label: Option<&str>, replace: bool) -> Result<Vec<Change>> {
        let path = |results: &Results| self.current(&results.suite, &hardware(results)?);
        let baselines = by_path(files, path, label.is_some())?;
        baselines.into_iter().map(|(path, new)| add(path, new, label, replace)).collect()
    }

    /// Keeps all `files` together as the baselines of a release, one for each suite and hardware. The same results again
    /// are fine; others are refused.
    pub fn keep_release(&self, files: Vec<Results>, tag: &str, label: Option<&str>) -> Result<Vec<Change>> {
        let path = |results: &Results| self.release(&results.suite, tag, &hardware(results)?);
        let baselines = by_path(files, path, false)?;
        let labelled = |new| Results { label: Some(label.unwrap_or(tag).to_owned()), ..new };
        baselines.into_iter().map(|(path, new)| keep(path, labelled(new))).collect()
    }
}

/// One baseline for each path, with the sessions of all files that belong to it.
fn by_path(
    files: Vec<Results>,
    path_of: impl Fn(&Results) -> Result<PathBuf>,
    may_mix: bool,
) -> Result<BTreeMap<PathBuf, Results>> {
    let mut baselines: BTreeMap<PathBuf, Results> = BTreeMap::new();
    for results in files {
        let path = path_of(&results)?;
        let mut new = presentable(results)?;
        if let Some(others) = baselines.get(&path) {
            check_agreement(others, &new, &path)?;
            if !may_mix {
                let what = format!("the results for {} are of different builds, at different levels", path.display());
                mixing::refuse(what, mixing::differences(others, &new)?, "give only those of one build")?;
            }
            new.sessions = joined(&others.sessions, new.sessions, &path)?;
        }
        baselines.insert(path, new);
    }
    Ok(baselines)
}

/// Adds the sessions of `new` to the baseline at `path`, or replaces it.
fn add(path: PathBuf, mut new: Results, label: Option<&str>, replace: bool) -> Result<Change> {
    // Claimed, so that nobody else writes it between our reading and our writing.
    let output = claimed(&path)?;
    let old = if replace { None } else { read_if_there(&path)? };
    let known = old.as_ref().map_or(0, |old| old.sessions.len());
    if let Some(old) = &old {
        check_agreement(old, &new, &path)?;
        if label.is_none() || label == old.label.as_deref() {
            check_level(old, &new, &path)?;
        }
        new.label = label.map(str::to_owned).or_else(|| old.label.clone()).or(new.label);
        new.sessions = joined(&old.sessions, new.sessions, &path)?;
        keep_identities(old, &mut new);
    } else if let Some(label) = label {
        new.label = Some(label.to_owned());
    }
    let added = new.sessions.len() - known;
    let occasions = |results: &Results| Occasions::of(&results.sessions).count();
    let new_occasions = occasions(&new).saturating_sub(old.as_ref().map_or(0, occasions));
    let dropped = shrink(&mut new)?;
    if old.as_ref() != Some(&new) {
        save(&new, &output)?;
    }
    let (sessions, occasions) = (new.sessions.len(), Occasions::of(&new.sessions));
    let on_known_occasions = added.saturating_sub(new_occasions);
    Ok(Change { path, sessions, occasions, added, on_known_occasions, dropped })
}

/// Writes the baseline of a release, once.
fn keep(path: PathBuf, mut new: Results) -> Result<Change> {
    let dropped = shrink(&mut new)?;
    let (sessions, occasions) = (new.sessions.len(), Occasions::of(&new.sessions));
    let on_known_occasions = sessions.saturating_sub(occasions.count());
    let output = claimed(&path)?;
    match read_if_there(&path)? {
        Some(old) if old == new => Ok(Change { path, sessions, occasions, added: 0, on_known_occasions: 0, dropped }),
        Some(_) => Err(Error::usage(format!(
            "{} holds other results, and the baseline of a release is never changed",
            path.display()
        ))
        .hint("name another release")),
        None => {
            save(&new, &output)?;
            Ok(Change { path, sessions, occasions, added: sessions, on_known_occasions, dropped })
        }
    }
}

/// Results in the form of a baseline: complete sessions, without distributions.
fn presentable(mut results: Results) -> Result<Results> {
    let measured = |session: &Session| session.runs.iter().any(|run| matches!(run.outcome, Outcome::Ok(_)));
    for session in &results.sessions {
        if session.finished.is_none() {
            return Err(Error::usage(format!("the session `{}` was cut off", session.id))
                .hint("complete it with `bench-diff run --resume`"));
        }
        if !measured(session) {
            return Err(Error::usage(format!(
                "every run of the session `{}` failed: there is nothing to keep",
                session.id
            )));
        }
    }
    results.compact();
    results.sessions.sort_by(|a, b| a.started.cmp(&b.started));
    Ok(results)
}

/// A baseline that is a history takes the difference of two levels for drift.
fn check_level(old: &Results, new: &Results, path: &Path) -> Result<()> {
    let what = format!("the results are of another build than {} holds, and at another level", path.display());
    let hint = "if a change of speed was merged, start the baseline anew with --replace; if all of it is the machine's \
                drift, keep both under a new --label";
    mixing::refuse(what, mixing::differences(old, new)?, hint)
}

/// All sessions of a baseline have the same cases, settings and hardware.
fn check_agreement(old: &Results, new: &Results, path: &Path) -> Result<()> {
    let mut obstacles = compare::obstacles(&Side::from_results("old", old), &Side::from_results("new", new));
    let ids = |results: &Results| results.cases.iter().map(|case| case.id.clone()).collect::<Vec<_>>();
    let (old_ids, new_ids) = (ids(old), ids(new));
    let set = |ids: &[String]| ids.iter().cloned().collect::<HashSet<String>>();
    let (had, has) = (set(&old_ids), set(&new_ids));
    let lost = old_ids.iter().filter(|id| !has.contains(*id)).map(|id| format!("{id} is gone"));
    let added = new_ids.iter().filter(|id| !had.contains(*id)).map(|id| format!("{id} is new"));
    obstacles.extend(lost.chain(added));
    if obstacles.is_empty() {
        return Ok(());
    }
    let more = obstacles.len().saturating_sub(5);
    obstacles.truncate(5);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    Err(Error::usage(format!("the results don't belong to {}: {}{rest}", path.display(), obstacles.join(", ")))
        .hint("start that baseline anew with --replace"))
}

/// An older program doesn't say what it loaded, and what is known stays known.
fn keep_identities(old: &Results, new: &mut Results) {
    let known: HashMap<&str, _> = old.cases.iter().map(|case| (case.id.as_str(), &case.identity)).collect();
    for case in &mut new.cases {
        case.identity = case.identity.take().or_else(|| (*known.get(case.id.as_str())?).clone());
    }
}

/// Old and new sessions in the order of time.
fn joined(old: &[Session], new: Vec<Session>, path: &Path) -> Result<Vec<Session>> {
    let mut sessions = old.to_vec();
    let by_id: HashMap<&str, &Session> = old.iter().map(|session| (session.id.as_str(), session)).collect();
    for session in new {
        match by_id.get(session.id.as_str()) {
            None => sessions.push(session),
            Some(known) if has_same_numbers(known, &session) => {}
            Some(_) => {
                return Err(Error::usage(format!(
                    "{} holds the session `{}` with other numbers: one of the files was changed",
                    path.display(),
                    session.id
                )));
            }
        }
    }
    sessions.sort_by(|a, b| a.started.cmp(&b.started));
    Ok(sessions)
}

/// A session that is carried on ends anew, also where nothing was left to measure.
fn has_same_numbers(known: &Session, session: &Session) -> bool {
    Session { finished: known.finished.clone(), ..session.clone() } == *known
}

/// Drops sessions until the file is small enough for a repository. Returns how many.
fn shrink(results: &mut Results) -> Result<usize> {
    let before = results.sessions.len();
    let order = expendable(&results.sessions);
    let gone: HashSet<String> = order.iter().take(before.saturating_sub(KEPT_SESSIONS)).cloned().collect();
    results.sessions.retain(|session| !gone.contains(&session.id));
    for id in &order[gone.len()..] {
        if size(results)? <= MAX_BYTES || results.sessions.len() == 1 {
            break;
        }
        results.sessions.retain(|session| session.id != *id);
    }
    let bytes = size(results)?;
    if bytes > MAX_BYTES {
        return Err(Error::usage(format!(
            "a single session of the suite `{}` takes {} KB, a baseline may take {}",
            results.suite,
            bytes / 1000,
            MAX_BYTES / 1000
        ))
        .hint("make it a smaller suite, or fewer runs"));
    }
    Ok(before - results.sessions.len())
}

/// The ids of all sessions, the first to go first: copies, then the oldest of the fullest occasion, so that many sessions
/// of one night don't push out the nights before.
fn expendable(sessions: &[Session]) -> Vec<String> {
    let occasions = Occasions::of(sessions);
    let mut members: BTreeMap<usize, VecDeque<usize>> = BTreeMap::new();
    let mut order = Vec::new();
    for index in 0..sessions.len() {
        match occasions.at(index) {
            Some(occasion) => members.entry(occasion).or_default().push_back(index),
            None => order.push(index),
        }
    }
    // By size, and of equals the oldest.
    let mut fullest: BTreeSet<(usize, Reverse<usize>)> =
        members.iter().map(|(&at, it)| (it.len(), Reverse(at))).collect();
    while let Some((count, Reverse(at))) = fullest.pop_last() {
        order.extend(members.get_mut(&at).and_then(VecDeque::pop_front));
        if count > 1 {
            fullest.insert((count - 1, Reverse(at)));
        }
    }
    order.into_iter().map(|index| sessions[index].id.clone()).collect()
}

fn size(results: &Results) -> Result<u64> {
    let mut text = Vec::new();
    let failed = |error| Error::usage("can't tell how large the results are").because(error);
    results.write(&mut text).map_err(failed)?;
    Ok(text.len() as u64)
}

fn claimed(path: &Path) -> Result<Output> {
    let made = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    made.map_err(|error| Error::writing(path, error))?;
    Output::wait_for(path)
}

fn save(results: &Results, output: &Output) -> Result<()> {
    results.save(output).map_err(|error| Error::writing(output.path(), error))
}
