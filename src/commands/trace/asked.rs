//! What is asked of `trace`, and flags that would do nothing for that.

use std::path::{Path, PathBuf};

use super::Args;
use crate::config::Selection;
use crate::error::{Error, Result};

/// What to show.
#[derive(Debug)]
pub(super) enum What<'a> {
    /// Two saved traces, compared.
    Two(&'a [PathBuf]),
    Saved(&'a Path),
    /// A case of the suite, or a model.
    Case(&'a str),
    Program,
}

impl<'a> What<'a> {
    pub(super) fn asked(args: &'a Args) -> Result<Self> {
        match (&args.diff, &args.what) {
            (Some(files), _) => Ok(Self::Two(files)),
            (None, Some(what)) => Self::named(what),
            (None, None) if args.program.is_empty() => Err(Error::usage("there is nothing to trace").hint(
                "name a program behind `--`, a case of the suite, a model, or a saved trace; `--help` has examples",
            )),
            (None, None) => Ok(Self::Program),
        }
    }

    fn named(what: &'a str) -> Result<Self> {
        let path = Path::new(what);
        match path.metadata() {
            Ok(data) if data.is_file() => Ok(Self::Saved(path)),
            // A pipe, say, from which nobody could read to the end. The directory of a model is one.
            Ok(data) if !data.is_dir() => Err(Error::usage(format!("{what} is not a regular file"))
                .hint("`bench-diff trace --output FILE -- PROGRAM` writes a trace")),
            // No case and no model is called so.
            Err(_) if path.extension().is_some_and(|kind| kind == "trace") => {
                Err(Error::usage(format!("there is no file {what}"))
                    .hint("`bench-diff trace --output FILE -- PROGRAM` writes a trace"))
            }
            _ => Ok(Self::Case(what)),
        }
    }

    fn in_words(&self) -> String {
        match self {
            Self::Two(_) => "two saved traces are compared".to_owned(),
            Self::Saved(file) => format!("{} is a saved trace: it is only shown", file.display()),
            Self::Case(case) => format!("{case} is a case or a model"),
            Self::Program => "a program is traced as it is".to_owned(),
        }
    }
}

/// The parser lets these pass: a flag that it requires isn't missed where something else excludes that flag.
pub(super) fn refuse_idle_flags(args: &Args, what: &What) -> Result<()> {
    let is_case = matches!(what, What::Case(_));
    let setting = if is_case { None } else { setting(&args.selection) };
    let (flag, of) = match what {
        What::Saved(_) if args.output.is_some() => ("--output", "what is traced now"),
        What::Saved(_) if args.per_token => ("--per-token", "a case or a model"),
        What::Saved(_) | What::Case(_) | What::Program if args.programs.is_some() => ("--programs", "--diff"),
        What::Saved(_) | What::Case(_) | What::Two(_) if args.timeline => {
            ("--timeline", "a program that is traced now")
        }
        _ => match &setting {
            Some(setting) => (setting.as_str(), "a case or a model"),
            None => return Ok(()),
        },
    };
    Err(Error::usage(what.in_words()).hint(format!("{flag} is for {of}")))
}

/// The first that was given. The file may be named by the environment, for other commands.
fn setting(selection: &Selection) -> Option<String> {
    let selection = Selection { config: None, ..selection.clone() };
    let first = selection.flags().into_iter().next()?;
    Some(first.split('=').next().unwrap_or_default().to_owned())
}
