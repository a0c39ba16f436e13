//! A bench for one session: inputs by hand, outputs to look at, time as told.

use std::time::Duration;

use tamga_drivers::session::{Input, Output, Session, Time};

pub struct Bench<S: Session> {
    pub session: S,
    pub now: Time,
    pub out: Output<S::Event>,
}

impl<S: Session> Bench<S> {
    pub fn new(session: S) -> Self {
        Self { session, now: Time::from_millis(1000), out: Output::new() }
    }

    pub fn connected(&mut self) -> (String, Vec<S::Event>) {
        self.step(Input::Connected)
    }

    pub fn disconnected(&mut self) -> (String, Vec<S::Event>) {
        self.step(Input::Disconnected)
    }

    pub fn command(&mut self, command: S::Command) -> (String, Vec<S::Event>) {
        self.step(Input::Command(command))
    }

    pub fn hears(&mut self, bytes: impl AsRef<[u8]>) -> (String, Vec<S::Event>) {
        self.step(Input::Bytes(bytes.as_ref()))
    }

    /// Lets time run to the wake that the session asked for, and ticks.
    pub fn tick(&mut self) -> (String, Vec<S::Event>) {
        let wake = self.out.wake.expect("the session asked to be woken");
        self.now = self.now.max(wake);
        self.step(Input::Tick)
    }

    pub fn after(&mut self, span: Duration) -> &mut Self {
        self.now = self.now + span;
        self
    }

    /// Takes one step; returns what was sent (ASCII only) and what was told.
    pub fn step(&mut self, input: Input<'_, S::Command>) -> (String, Vec<S::Event>) {
        self.out.clear();
        self.session.step(self.now, input, &mut self.out);
        let sent = String::from_utf8_lossy(&self.out.bytes).into_owned();
        (sent, std::mem::take(&mut self.out.events))
    }
}
