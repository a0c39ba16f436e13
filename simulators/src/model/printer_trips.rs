//! What goes wrong with a printer's labels though it prints: rolls, its queue, its odometer, its answers, other hosts.

use super::printer::Printer;
use super::truth::PrintedLabel;
use super::zpl::Symbol;
use super::zpl_format::Job;

/// Finished jobs that the printer could print once more.
const DONE_MAX: usize = 8;

/// How the labels slip against the order in which they were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Slip {
    /// A person changes the roll and throws away what is on the web.
    RollChanged,
    /// The labels on the web are exchanged for others, with these codes one after another.
    RollSwapped { codes: Vec<Vec<u8>> },
    /// The label in motion, or the one printed last, comes once more.
    Doubled,
    /// So many jobs of the queue are not printed; the odometer counts them or does not.
    Skipped { labels: usize, counted: bool },
    /// So many jobs at the head of the queue go behind all others, of which there are two at least.
    Shifted { jobs: usize },
    /// The last job of the queue is printed before all others.
    OneAhead,
    /// So many of the labels that were printed last are printed again.
    OldAgain { labels: usize },
    /// Another host prints these codes between ours.
    Neighbours { codes: Vec<Vec<u8>> },
}

/// What will go wrong at the next opportunity.
#[derive(Debug, Default)]
pub(super) struct Trips {
    /// By how much the odometer counts wrong at the next label.
    pub(super) odometer: i64,
    /// The label that is interrupted next is printed again, whatever `^JZ` says.
    pub(super) reprints: bool,
    /// The next answer waits until then.
    pub(super) answers_not_before_ns: u64,
}

/// What a slip did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Slipped {
    /// The first label behind the slip; with it the disagreement can be seen.
    pub from_label: u64,
    /// Symbols that should have come before it and did not.
    pub missing: Vec<Vec<u8>>,
}

impl Printer {
    pub(super) fn finished(&mut self, job: Job) {
        self.last = Some(job.clone());
        self.done.push_back(job);
        if self.done.len() > DONE_MAX {
            self.done.pop_front();
        }
    }

    /// Lets the labels slip. `None` where there is nothing that could: no label on the web, too few jobs in the queue.
    pub fn slip(&mut self, now_ns: u64, slip: &Slip) -> Option<Slipped> {
        self.step(now_ns);
        let next = self.next_label_no();
        let behind = |missing| Slipped { from_label: next, missing };
        match slip {
            Slip::RollChanged => {
                let last = self.web.back()?.label_no;
                let lost = self.web.drain(..).filter_map(|l| l.symbol).collect();
                Some(Slipped { from_label: last + 1, missing: lost })
            }
            Slip::RollSwapped { codes } => self.swap(codes),
            Slip::Doubled => {
                let job = self.printing.as_ref().map(|p| &p.job).or(self.last.as_ref())?.clone();
                self.queue.push_front(again(job));
                Some(behind(Vec::new()))
            }
            Slip::Skipped { labels, counted } => {
                if self.queue.len() <= *labels || *labels == 0 {
                    return None;
                }
                self.odometer += if *counted { *labels as u64 } else { 0 };
                let lost: Vec<Job> = self.queue.drain(..*labels).collect();
                Some(behind(symbols(&lost)))
            }
            Slip::Shifted { jobs } => {
                if self.queue.len() < *jobs + 2 || *jobs == 0 {
                    return None;
                }
                self.queue.rotate_left(*jobs);
                let late: Vec<Job> = self.queue.iter().rev().take(*jobs).rev().cloned().collect();
                Some(behind(symbols(&late)))
            }
            Slip::OneAhead => {
                if self.queue.len() < 2 {
                    return None;
                }
                self.queue.rotate_right(1);
                Some(behind(Vec::new()))
            }
            Slip::OldAgain { labels } => {
                if self.done.len() < *labels || *labels == 0 {
                    return None;
                }
                let old: Vec<Job> = self.done.iter().rev().take(*labels).cloned().map(again).collect();
                old.into_iter().for_each(|job| self.queue.push_front(job));
                Some(behind(Vec::new()))
            }
            Slip::Neighbours { codes } => {
                let like = self.printing.as_ref().map(|p| &p.job).or(self.last.as_ref())?.clone();
                for code in codes.iter().rev() {
                    let symbol = like.symbol.as_ref().map(|s| Symbol { bytes: code.clone(), ..s.clone() });
                    self.queue.push_front(Job { symbol, ..again(like.clone()) });
                }
                Some(behind(Vec::new()))
            }
        }
    }

    fn swap(&mut self, codes: &[Vec<u8>]) -> Option<Slipped> {
        let from_label = self.web.front()?.label_no;
        let mut missing = Vec::new();
        for (label, code) in self.web.iter_mut().zip(codes) {
            missing.extend(label.symbol.replace(code.clone()));
            *label = PrintedLabel { damaged: false, reprint: false, ..label.clone() };
        }
        Some(Slipped { from_label, missing })
    }

    /// Nothing is answered before then.
    pub fn answer_not_before(&mut self, at_ns: u64) {
        self.trips.answers_not_before_ns = at_ns;
    }

    /// The odometer counts so much too much, or too little, at the next label.
    pub fn miscount(&mut self, by: i64) {
        self.trips.odometer = by;
    }

    /// The label that is interrupted next is printed again, whatever `^JZ` says.
    pub fn reprint_anyway(&mut self) {
        self.trips.reprints = true;
    }

    /// There is an answer, and it may leave now.
    pub fn may_answer(&self, now_ns: u64) -> bool {
        !self.out.is_empty() && now_ns >= self.trips.answers_not_before_ns
    }

    /// The symbol of the label in motion, or of the last one.
    pub fn symbol(&self) -> Option<Vec<u8>> {
        let job = self.printing.as_ref().map(|p| &p.job).or(self.last.as_ref())?;
        Some(job.symbol.as_ref()?.bytes.clone())
    }
}

fn again(job: Job) -> Job {
    Job { copies: 1, reprint: true, unasked: true, bytes: 0, ..job }
}

fn symbols(jobs: &[Job]) -> Vec<Vec<u8>> {
    jobs.iter().filter_map(|j| Some(j.symbol.as_ref()?.bytes.clone())).collect()
}
