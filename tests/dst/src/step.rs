//! Going through the log of a seed step by step.

use std::io::{self, BufRead, Write};

/// What a person may say at the prompt.
pub const HELP: &str = "Enter: the next event; 20: the next 20; 12.5s: to that moment; /text: to the next event with that text; q: end";

/// Where to go on to.
#[derive(Clone, Debug, PartialEq)]
enum Step {
    Events(usize),
    /// Milliseconds of the simulated day.
    Moment(u64),
    Text(String),
    End,
}

fn parse(said: &str) -> Option<Step> {
    let said = said.trim();
    if let Some(text) = said.strip_prefix('/') {
        return Some(Step::Text(text.to_owned()));
    }
    if let Some(seconds) = said.strip_suffix('s') {
        let seconds: f64 = seconds.trim().parse().ok().filter(|s: &f64| *s >= 0.0)?;
        return Some(Step::Moment((seconds * 1000.0) as u64));
    }
    match said {
        "" => Some(Step::Events(1)),
        "q" => Some(Step::End),
        number => number.parse().ok().map(Step::Events),
    }
}

/// The moment that a line of the log begins with.
fn moment(line: &str) -> Option<u64> {
    let (seconds, ms) = line.split_whitespace().next()?.split_once('.')?;
    Some(seconds.parse::<u64>().ok()? * 1000 + ms.parse::<u64>().ok()?)
}

/// Shows the lines as far as `said` asks for, until it ends, the lines end, or it says so.
///
/// # Errors
/// Those of `said` and `out`.
pub fn through(lines: &[String], mut said: impl BufRead, mut out: impl Write) -> io::Result<()> {
    writeln!(out, "{} events. {HELP}", lines.len())?;
    let mut rest = lines;
    let mut line = String::new();
    while !rest.is_empty() {
        write!(out, "> ")?;
        out.flush()?;
        line.clear();
        if said.read_line(&mut line)? == 0 {
            break;
        }
        let count = match parse(&line) {
            Some(Step::End) => break,
            Some(Step::Events(count)) => count.min(rest.len()),
            Some(Step::Moment(ms)) => {
                rest.iter().position(|l| moment(l).is_some_and(|at| at > ms)).unwrap_or(rest.len())
            }
            Some(Step::Text(text)) => {
                rest.iter().position(|l| l.contains(&text)).map_or(rest.len(), |n| n + 1)
            }
            None => {
                writeln!(out, "{HELP}")?;
                continue;
            }
        };
        for shown in &rest[..count] {
            writeln!(out, "{shown}")?;
        }
        rest = &rest[count..];
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(said: &str) -> Vec<String> {
        let lines: Vec<String> = (0..10).map(|n| format!("{n:>8}.{:03} event {n} of ten", n * 100)).collect();
        let mut out = Vec::new();
        through(&lines, said.as_bytes(), &mut out).expect("memory takes it");
        let text = String::from_utf8(out).expect("it is text");
        let events = text.lines().filter(|l| l.ends_with("of ten"));
        events.filter_map(|l| Some(l.rsplit_once("event ")?.1.to_owned())).collect()
    }

    #[test]
    fn each_way_to_go_on_goes_as_far_as_it_says() {
        assert_eq!(shown("\n\n"), ["0 of ten", "1 of ten"]);
        assert_eq!(shown("3\nq\n9\n"), ["0 of ten", "1 of ten", "2 of ten"]);
        assert_eq!(shown("2.2s\n"), ["0 of ten", "1 of ten", "2 of ten"]);
        assert_eq!(shown("/event 1\n"), ["0 of ten", "1 of ten"]);
        assert_eq!(shown("what?\n"), Vec::<String>::new());
        assert_eq!(shown("99\n").len(), 10);
    }
}
