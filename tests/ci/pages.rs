//! The pages of `plan` and `baseline` on screens of several widths, and with names of any kind.

use crate::Place;
use crate::baseline::results;

const WIDTHS: [&str; 3] = ["44", "80", "140"];

/// Two suites on a GPU that nobody has; a context that doesn't fit.
const SUITE: &str = r#"
[suites.gpu]
device = "cuda"
weights = "generated"
models = ["Qwen/Qwen2.5-0.5B-Instruct", "Qwen/Qwen2.5-72B-Instruct"]
context-lengths = [1, 30720]
"#;

/// No line is longer than the screen, but where one word is.
fn check_width(text: &str, width: &str) {
    let columns: usize = width.parse().unwrap();
    for line in text.lines().filter(|line| line.trim().contains(' ')) {
        assert!(line.chars().count() <= columns, "{width}: {line}");
    }
}

impl Place {
    fn at_width(&self, args: &[&str], width: &str) -> String {
        let (exit, out, err) = self.run_with(args, &[("COLUMNS", width)]);
        assert_eq!((exit, err.as_str()), (0, ""), "{out}");
        check_width(&out, width);
        out
    }
}

#[test]
fn a_plan_fits_the_screen() {
    let place = Place::with_config(SUITE);
    for width in WIDTHS {
        let out = place.at_width(&["plan", "--device-memory", "79.2"], width);
        insta::assert_snapshot!(format!("plan_at_{width}"), out);
    }
}

/// A directory of baselines with these names, each of one session.
fn with_baselines(names: &[String]) -> Place {
    let place = Place::new();
    for (day, name) in (1..).zip(names) {
        let path = place.path(&format!("baselines/{name}.json"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, results(&format!("s{day}"), day).to_string()).unwrap();
    }
    place
}

#[test]
fn a_list_of_baselines_fits_the_screen() {
    let names =
        ["h100-small/nvidia-h100-80gb-hbm3", "h100-small/releases/v1.0.0/nvidia-h100-80gb-hbm3", "smoke/cpu-x86-2c"];
    let place = with_baselines(&names.map(str::to_owned));
    assert_eq!(place.run(&["baseline", "update", "baselines/h100-small/nvidia-h100-80gb-hbm3.json"]).0, 0);
    for width in WIDTHS {
        insta::assert_snapshot!(format!("baseline_list_at_{width}"), place.at_width(&["baseline", "list"], width));
    }
    let show = ["baseline", "show", names[0]];
    insta::assert_snapshot!("baseline_show_at_44", place.at_width(&show, "44"));
}

/// A tab and a space, and ends beyond what is shown of a name.
#[test]
fn names_that_differ_look_different() {
    let long = "x".repeat(70);
    let names = [
        "a b/c".to_owned(),
        "a\tb/c".into(),
        "a\u{a0}b/c".into(),
        format!("{long}/{long}-1"),
        format!("{long}/{long}-2"),
    ];
    let place = with_baselines(&names);
    let out = place.at_width(&["baseline", "list"], "200");
    insta::assert_snapshot!(out);
    let named = out.lines().skip(3).filter(|line| !line.starts_with(" on "));
    let mut lines: Vec<String> = named.map(|line| line.split("  ").next().unwrap().to_owned()).collect();
    lines.sort();
    lines.dedup();
    assert_eq!(lines.len(), names.len(), "{out}");
}

/// A pipe has no width: each sentence is one line, to be searched for.
#[test]
fn in_a_pipe_sentences_stay_whole() {
    let place = Place::with_config(SUITE);
    let (_, out, _) = place.run_with(&["plan", "--device-memory", "79.2"], &[("COLUMNS", "")]);
    assert!(
        out.lines()
            .any(|line| line.starts_with("  won't run: ") && line.ends_with(": use a smaller model or more GPUs")),
        "{out}"
    );
}
