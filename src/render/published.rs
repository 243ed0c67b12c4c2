//! The pages and spreadsheets of published numbers: alone, and beside measured ones.

use super::case_names::Names;
use super::{NAME, SENTENCE, run};
use crate::metric::Metric;
use crate::number::{count, counted, decimal, mean_and_deviation, times, value};
use crate::page::{Align, Block, Cell, Column, Icon, Line, Page, Table, Url, foreign, line, link, name, unbroken};
use crate::published::{Beside, CaseBeside, Published, Ratio, SOURCE, Setting, Software, Unmatched, beside};
use crate::results::Results;

/// A table for each software.
pub fn page(rows: &[Published]) -> Page {
    let meanings = settings(rows.iter());
    let body = Software::ALL.into_iter().flat_map(|software| {
        let rows: Vec<&Published> = rows.iter().filter(|row| row.software == software).collect();
        let title = Block::Paragraph(how(software));
        if rows.is_empty() { Vec::new() } else { vec![title, Block::Table(table(&rows, &meanings))] }
    });
    Page {
        headline: line!["Qwen's Speed Benchmark of Qwen2.5, as published: ", counted(rows.len(), "number")],
        body: body.collect(),
        end: vec![Block::List(numbered(&meanings)), Block::Facts(vec![what_speed_is(), source()])],
        ..Page::default()
    }
}

fn table(rows: &[&Published], meanings: &[Setting]) -> Table {
    let mut columns = vec![
        Column::left("Model", |row: &&Published| Line::from(row.name())),
        Column::left("Weights", |row: &&Published| Line::from(row.precision())),
        Column::right("Context", |row: &&Published| count(row.context_length as usize)),
        Column::right("GPUs", |row: &&Published| count(row.gpus as usize)),
        Column::new(heading("Speed", "tok/s"), Align::Right, |row: &&Published| decimal(row.speed_tok_s, 2)),
    ];
    if rows.iter().any(|row| row.memory_gib.is_some()) {
        let memory = |row: &&Published| row.memory_gib.map_or_else(Cell::default, |gib| decimal(gib, 2).into());
        columns.push(Column::new(heading("Memory", "GiB"), Align::Right, memory));
    }
    if rows.iter().any(|row| row.note.is_some()) {
        let place = |note: &'static str| meanings.iter().position(|setting| setting.note == note);
        let number =
            move |row: &&Published| row.note.and_then(place).map_or_else(Line::default, |at| count(at + 1).into());
        columns.push(Column::right("Note", number));
    }
    Table { wide: true, ..Table::of(columns, rows) }
}

/// `transformers 4.46.0 on NVIDIA A100 80GB, with PyTorch 2.3.1, ...`
fn how(software: Software) -> Line {
    let table = software.table();
    let mut components = table.components.iter().map(|(name, version)| line![*name, " ", *version]);
    let itself = components.next().unwrap_or_default();
    itself.and(" on ").and(table.gpu).and(", with ").and(Line::joined(components, ", "))
}

/// What the notes mean, each once.
fn notes<'a>(rows: impl Iterator<Item = &'a Published> + Clone) -> Vec<Line> {
    settings(rows).iter().map(|setting| line![setting.note, ": ", setting.meaning]).collect()
}

/// By the numbers that stand in the table, where the notes would take too much room.
fn numbered(settings: &[Setting]) -> Vec<Line> {
    let numbers = (1..).map(count);
    numbers.zip(settings).map(|(number, it)| line!["note ", number, ": ", it.note, ": ", it.meaning]).collect()
}

/// Those that rows have a note of.
fn settings<'a>(rows: impl Iterator<Item = &'a Published> + Clone) -> Vec<Setting> {
    let all = Software::ALL.into_iter().flat_map(|software| software.table().settings);
    all.filter(|setting| rows.clone().any(|row| row.note == Some(setting.note))).copied().collect()
}

fn what_speed_is() -> Line {
    "Speed: 2048 generated tokens over the time of prefill and decode, one sequence".into()
}

fn source() -> Line {
    Url::checked(SOURCE).map(|url| link("source", url)).unwrap_or_default()
}

/// Measured numbers, and in each software's column how many times its own they are.
pub fn beside_page(results: &Results, beside: &Beside) -> Page {
    let headline = results.sessions.last().map(|session| run::heading(results, session)).unwrap_or_default();
    let why = |unmatched: &Unmatched| {
        line!["no published number: ", name(&unmatched.case, NAME), ": ", foreign(&unmatched.reason, SENTENCE)]
    };
    let rows = || beside.cases.iter().flat_map(|case| &case.published).map(|ratio| &ratio.published);
    let mut said: Vec<Line> = beside.unmatched.iter().map(why).collect();
    said.extend(memories(&beside.cases, results));
    let by_vllm = rows().any(|row| row.software == Software::Vllm);
    let untold = by_vllm && beside.cases.iter().any(|case| case.memory.is_some());
    said.extend(untold.then(|| "memory of vLLM was not published: it takes its share of a GPU at once".into()));
    said.extend(notes(rows()));
    let used = Software::ALL.into_iter().filter(|software| rows().any(|row| row.software == *software));
    said.extend(used.map(how));
    let names = Names::of(beside.cases.iter().map(|case| case.case.as_str()));
    let pattern = names.pattern().map(|pattern| Block::Paragraph(line!["Cases: ", pattern]));
    let table = (!beside.cases.is_empty()).then(|| Block::Table(beside_table(&beside.cases, &names)));
    Page {
        headline,
        top: [Some(Block::Paragraph(beside_what(&beside.cases))), pattern].into_iter().flatten().collect(),
        body: table.into_iter().collect(),
        end: vec![Block::List(said), Block::Facts(vec![what_speed_is(), "×: measured / published".into(), source()])],
    }
}

/// In a report: the cases that were published, too, closed until somebody opens it. Absent where there are none.
pub(super) fn fold(results: &Results) -> Option<Block> {
    let beside = beside(results, None);
    let gpu = beside.cases.first()?.published.first()?.published.software.table().gpu;
    let cases = counted(beside.cases.len(), "case");
    let title = line![Icon::Published, "Beside what Qwen published of another machine, ", gpu, " (", cases, ")"];
    let names = Names::of(beside.cases.iter().map(|case| case.case.as_str()));
    let rows = || beside.cases.iter().flat_map(|case| &case.published).map(|ratio| &ratio.published);
    let used = Software::ALL.into_iter().filter(|software| rows().any(|row| row.software == *software));
    let said = memories(&beside.cases, results).into_iter().chain(notes(rows())).chain(used.map(how));
    let blocks = vec![
        Block::Paragraph(beside_what(&beside.cases)),
        Block::Table(beside_table(&beside.cases, &names)),
        Block::List(said.chain([what_speed_is(), "×: measured / published".into()]).collect()),
    ];
    Some(Block::Fold { title, blocks })
}

fn beside_what(cases: &[CaseBeside]) -> Line {
    match cases.iter().flat_map(|case| &case.published).next() {
        None => "No case has a number that Qwen published".into(),
        Some(ratio) => line![
            "Beside what Qwen published, measured on another machine (",
            ratio.published.software.table().gpu,
            ") and by other software: no ratio is a verdict"
        ],
    }
}

/// The cells of one software: a line for each number that it has of the case.
type Shown = fn(&Ratio) -> Option<(f64, f64)>;

fn beside_table(cases: &[CaseBeside], names: &Names) -> Table {
    let mut columns = vec![
        Column::left("Case", |case: &CaseBeside| names.short(&case.case)),
        Column::new(heading("Speed", "tok/s"), Align::Right, |case: &CaseBeside| {
            unbroken(mean_and_deviation(case.speed_tok_s.mean, case.speed_tok_s.sd))
        }),
    ];
    columns.extend(published_columns(cases, "tok/s", |ratio| Some((ratio.published.speed_tok_s, ratio.speed_ratio))));
    if cases.iter().any(|case| case.memory.is_some()) {
        let memory = |case: &CaseBeside| case.memory.as_ref().map_or_else(Cell::default, |m| value(m.mean_gib).into());
        columns.push(Column::new(heading("Memory", "GiB"), Align::Right, memory));
        columns.extend(published_columns(cases, "GiB", |ratio| ratio.published.memory_gib.zip(ratio.memory_ratio)));
    }
    Table { wide: true, ..Table::of(columns, cases) }
}

/// A column for each software that has something to show in it.
fn published_columns<'a>(cases: &[CaseBeside], unit: &'static str, shown: Shown) -> Vec<Column<'a, CaseBeside>> {
    let has = |software: &Software| {
        let mut ratios = cases.iter().flat_map(|case| &case.published);
        ratios.any(|ratio| ratio.published.software == *software && shown(ratio).is_some())
    };
    let column = |software: Software| {
        let cell = move |case: &CaseBeside| {
            let of = case.published.iter().filter(|ratio| ratio.published.software == software);
            let lines = of.filter_map(|ratio| Some(ratio_line(case, ratio, shown(ratio)?))).collect();
            Cell { mark: None, lines }
        };
        Column::new(heading(software.title(), unit), Align::Right, cell)
    };
    Software::ALL.into_iter().filter(has).map(column).collect()
}

/// `47.40 (34.3×)`, with what sets the number apart from others: its cards and its settings.
fn ratio_line(case: &CaseBeside, ratio: &Ratio, (published, times_it): (f64, f64)) -> Line {
    let Published { gpus, note, .. } = ratio.published;
    let gpus = if gpus == case.gpus { Line::default() } else { line![", ", counted(gpus as usize, "GPU")] };
    let note = note.map(|note| line![", ", note]).unwrap_or_default();
    unbroken(line![decimal(published, 2), " (", times(times_it), gpus, note, ")"])
}

/// Which memory was measured. A seed protocol never begins the peak anew, as Qwen's script doesn't.
fn memories(cases: &[CaseBeside], results: &Results) -> Vec<Line> {
    let of = |metric: Metric| cases.iter().any(|case| case.memory.as_ref().is_some_and(|m| m.metric == metric.into()));
    let allocated = match results.settings.seed_protocol {
        Some(_) => "memory: the most inside the engine's allocator, loading included, as Qwen's",
        None => "memory: the most inside the engine's allocator while generating; Qwen's counts loading, too",
    };
    let known: [(Metric, &'static str); 2] = [
        (Metric::AllocatedMemory, allocated),
        (
            Metric::PeakMemory,
            "memory: all that the process held; Qwen's is what PyTorch's allocator held, loading included",
        ),
    ];
    known.into_iter().filter(|(metric, _)| of(*metric)).map(|(_, words)| words.into()).collect()
}

fn heading(words: &'static str, unit: &'static str) -> Vec<Line> {
    vec![words.into(), unit.into()]
}

/// For spreadsheets: a line a number.
pub fn csv(rows: &[Published]) -> String {
    let header = "software,model,quantization,context_length,gpus,speed_tok_s,memory_gib,note\n".to_owned();
    rows.iter().fold(header, |text, row| text + &published_cells(row) + "\n")
}

fn published_cells(row: &Published) -> String {
    let Published { software, model, quantization, context_length, gpus, speed_tok_s, .. } = row;
    let (memory, note) = (number(row.memory_gib), row.note.unwrap_or_default());
    let note = super::csv::text(note);
    format!("{software},{model},{quantization},{context_length},{gpus},{speed_tok_s},{memory},{note}")
}

/// A line for each case and published number of it; cases without one have a line with their reason.
pub fn beside_csv(beside: &Beside) -> String {
    let mut text =
        "case,speed_tok_s,memory_metric,memory_gib,speed_ratio,memory_ratio,published_software,model,quantization,\
                    context_length,published_gpus,published_speed_tok_s,published_memory_gib,published_note,reason\n"
            .to_owned();
    for case in &beside.cases {
        let memory = case.memory.as_ref();
        let own = [
            super::csv::text(&case.case),
            case.speed_tok_s.mean.to_string(),
            memory.map(|memory| memory.metric.as_str().to_owned()).unwrap_or_default(),
            number(memory.map(|memory| memory.mean_gib)),
        ];
        for ratio in &case.published {
            let (speed, memory) = (ratio.speed_ratio, number(ratio.memory_ratio));
            text += &format!("{},{speed},{memory},{},\n", own.join(","), published_cells(&ratio.published));
        }
    }
    for unmatched in &beside.unmatched {
        text += &format!(
            "{}{}{}\n",
            super::csv::text(&unmatched.case),
            ",".repeat(14),
            super::csv::text(&unmatched.reason)
        );
    }
    text
}

fn number(value: Option<f64>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}
