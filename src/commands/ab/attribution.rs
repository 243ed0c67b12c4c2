//! What changed between OLD and NEW is traced.

use std::time::Duration;

use crate::compare::{Side, same_program_of};
use crate::config::Suite;
use crate::duel::{Attributing, Duelled, Ended};
use crate::error::Result;
use crate::measure::{End, Halt, Observer, Request, Stop, Worker};

/// Traces what changed, and says of each such row why. An `ab` that is stopped meanwhile has its verdict all the same.
pub fn attribute(
    duelled: &mut Duelled,
    suite: &Suite,
    [base, head]: &[Worker; 2],
    time: Duration,
    observer: &mut dyn Observer,
) -> Result<()> {
    let Duelled { base: old, head: new, comparison, ended, .. } = duelled;
    comparison.acquit(same_program_of(old, new));
    if *ended != Ended::Stopped {
        let request = Request::new(suite);
        let attributing = Attributing { request: &request, base, head, known: new, observer, stop: Stop::on_signals() };
        let end = attributing.within(time, comparison).map(|attributed| comparison.attributed = attributed);
        if Halt::end(end)? == End::Stopped {
            *ended = Ended::Stopped;
        }
    }
    let sides = [Side::from_results("base", old), Side::from_results("head", new)];
    comparison.explain(sides.each_ref(), sides.each_ref());
    Ok(())
}
