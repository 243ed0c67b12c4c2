//! The same of what is learned: drift from the other cases, thresholds from the base's sessions.

use super::*;

/// What a screen calls unchanged: cells that are, and cells that changed by 2, 3 and 5%.
fn unchanged_line(what: &str, world: &World, reports: usize) -> Rates {
    let rates = |change: f64| World { change, ..world.clone() }.rates(reports, 1, World::screen);
    let (none, two, three, five) = (rates(0.0), rates(0.02), rates(0.03), rates(0.05));
    println!(
        "| {what} | {:.0}% | {:.1}% | {} | {} | {} |",
        100.0 * none.quiet,
        100.0 * none.unconfirmed,
        percents(two.unchanged),
        percents(three.unchanged),
        percents(five.unchanged)
    );
    assert_eq!([none.alarms, two.alarms, five.alarms], [0.0; 3], "a screen alarms nobody");
    five
}

/// Learned thresholds: false alarms, what is called unchanged, and changes of 1 and 3% that are found.
fn auto_line(what: &str, world: &World, reports: usize, measure: impl Fn(&World, &mut Random) -> Comparison) -> f64 {
    let rates = |change: f64| World { change, auto: true, ..world.clone() }.rates(reports, 1, &measure);
    let (none, one, three) = (rates(0.0), rates(0.01), rates(0.03));
    let fixed = world.rates(reports, 1, &measure).alarms;
    println!(
        "| {what} | {:.1}% | {:.1}% | {:.0}% | {} | {} |",
        100.0 * fixed,
        100.0 * none.alarms,
        100.0 * none.quiet,
        percents(one.found),
        percents(three.found)
    );
    none.alarms
}

/// What the cases show together of the drift, where it is of cells, of cases, and of all at once.
#[test]
#[ignore = "minutes; prints the table of screens of docs/statistics.md"]
fn error_rates_of_unchanged() {
    let reports = reports();
    println!(
        "| screen | unchanged | unconfirmed | 2% unchanged | 3% unchanged | 5% unchanged |\n|---|---|---|---|---|---|"
    );
    for (of, together) in [("cells", Together::Cell), ("cases", Together::Case), ("all", Together::Session)] {
        for drift in [0.001, 0.003, 0.005, 0.01, 0.02] {
            for cases in [4, 24] {
                let world = World { cases, drift, together, interleaved: false, noise: 0.5, ..QUIET };
                let what = format!("{cases} cases, {}% drift of {of}", 100.0 * drift);
                let five = unchanged_line(&what, &world, reports);
                assert!(five.unchanged[..2].iter().all(|&unchanged| unchanged <= 0.05), "{:?}", five.unchanged);
            }
        }
    }
}

#[test]
#[ignore = "minutes; prints the table of learned thresholds of docs/statistics.md"]
fn error_rates_of_learned_thresholds() {
    let reports = reports();
    let days = World { base_sessions: 5, drift: 0.003, interleaved: false, ..QUIET };
    let h100 = World { drift: 0.0005, noise: 0.2, ..days.clone() };
    let small = |cases| World { cases, ..h100.clone() };
    let screen = |world: &World, random: &mut Random| world.screen(random);
    let confirm = |world: &World, random: &mut Random| world.screen_and_confirm(random);
    let day = World { on_one_occasion: 5, within: 0.0005, ..h100.clone() };
    println!(
        "| learned | fixed: false alarms | false alarms | unchanged | 1% found | 3% found |\n|---|---|---|---|---|---|"
    );
    let alarms = [
        auto_line("5 days of an H100, 24 cases", &h100, reports, screen),
        auto_line("5 days of an H100, 4 cases", &small(4), reports, screen),
        auto_line(
            "5 days of an H100, 24 unevenly noisy cases",
            &World { uneven: 0.5, ..h100.clone() },
            reports,
            screen,
        ),
        auto_line("10 days of an H100, 24 cases", &World { base_sessions: 10, ..h100.clone() }, reports, screen),
        auto_line("5 days, 0.3% drift, 24 cases", &days, reports, screen),
        auto_line("5 days, 1% drift, 24 cases", &World { drift: 0.01, ..days.clone() }, reports, screen),
        auto_line("5 days, 2% drift, 24 cases", &World { drift: 0.02, ..days.clone() }, reports, screen),
        auto_line("5 days, 0.3% drift, skewed", &World { shape: Shape::Skewed, ..days.clone() }, reports, screen),
        auto_line(
            "5 days, 0.3% drift, heavy-tailed",
            &World { shape: Shape::HeavyTailed, ..days.clone() },
            reports,
            screen,
        ),
        auto_line("5 sessions of one day of an H100, confirmed", &day, reports, confirm),
        auto_line("the same, 4 cases", &World { cases: 4, ..day.clone() }, reports, confirm),
        auto_line("the same, 1% drift, 24 cases", &World { drift: 0.01, ..day.clone() }, reports, confirm),
        auto_line("the same, unevenly noisy cases", &World { uneven: 0.5, drift: 0.01, ..day }, reports, confirm),
    ];
    assert!(alarms.iter().all(|&alarms| alarms <= limit(reports)), "{alarms:?}");
}

/// A small run of the same, so that every test run looks.
#[test]
fn learned_thresholds_raise_no_false_alarms() {
    let days = World { base_sessions: 5, drift: 0.003, interleaved: false, auto: true, ..QUIET };
    for (cases, drift) in [(24, 0.003), (6, 0.01), (2, 0.003)] {
        let alarms = World { cases, drift, ..days.clone() }.rates(100, 7, World::screen).alarms;
        assert!(alarms <= 0.08, "{alarms} in {cases} cases at {drift}");
    }
    let h100 = World { cases: 6, drift: 0.0005, noise: 0.2, change: 0.01, ..days };
    let found = h100.rates(50, 7, World::screen).found;
    assert!(found[0] >= 0.9, "1% of decode: {found:?}");
}

/// Neither drift of 0.5, 1 or 2% of cells, cases or everything makes a screen red, nor a change of 5% unchanged.
#[test]
fn a_screen_calls_no_real_change_unchanged() {
    for together in [Together::Cell, Together::Case, Together::Session] {
        for drift in [0.005, 0.01, 0.02] {
            let world = World { cases: 6, drift, together, change: 0.05, interleaved: false, ..QUIET };
            let rates = world.rates(100, 7, World::screen);
            assert_eq!(rates.alarms, 0.0);
            assert!(rates.unchanged[..2].iter().all(|&unchanged| unchanged <= 0.05), "{drift}: {:?}", rates.unchanged);
        }
    }
    let quiet = World { cases: 6, drift: 0.001, noise: 0.5, interleaved: false, ..QUIET };
    assert!(quiet.rates(100, 7, World::screen).quiet > 0.9, "what is quiet is seen to be");
}

/// Five sessions of one day called 43% of such reports changed, when they counted as a history.
#[test]
fn a_screen_alarms_nobody() {
    let day = World { base_sessions: 5, on_one_occasion: 5, within: 0.003, interleaved: false, ..QUIET };
    for drift in [0.003, 0.005, 0.01, 0.02] {
        assert_eq!(World { drift, ..day.clone() }.rates(100, 7, World::screen).alarms, 0.0);
        let single = World { drift, base_sessions: 1, ..day.clone() };
        assert_eq!(single.rates(100, 7, World::screen).alarms, 0.0);
    }
    let found = World { change: 0.1, drift: 0.003, ..day }.rates(50, 7, World::screen).found;
    assert!(found.iter().all(|&found| found >= 0.9), "it still tells what to look at: {found:?}");
}
