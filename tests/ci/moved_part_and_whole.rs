//! A line of "What got slower" says of how much its time is a part.

use crate::moved::{Machine, first_line, usual};

/// ` of the +104 µs a token` is said of a time.
#[test]
fn the_whole_stands_behind_a_part_of_it() {
    let machine = Machine::new();
    let waits = usual().with(|step| step.pauses = 204_000);
    let said = first_line(&machine.comment(&usual(), &waits));
    assert!(
        said.starts_with("- no kernel ran for 100.1 → 204.2 µs a token: **+104 µs** of the +104 µs a token, with"),
        "{said}"
    );
    assert!(said.ends_with("with the same kernels: the host is slower in launching or waiting"), "{said}");
    let asks_more = waits.with(|step| step.synchronizations = 200);
    let said = first_line(&machine.comment(&usual(), &asks_more));
    assert!(
        said.starts_with("- synchronisations of a stream: 1 → 200 a token") && !said.contains(" of the +"),
        "{said}"
    );
}
