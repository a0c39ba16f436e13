//! A session of the product on a wire that the world holds the other end of.

use std::collections::VecDeque;

use tamga_domain::time::Time as LineTime;
use tamga_drivers::session::{Input, Output, Session, Time};

/// Bytes on their way to a device, and whether there is a connection.
#[derive(Default)]
pub struct Wire {
    pub up: bool,
    /// The session gave up on the connection.
    pub close: bool,
    /// What the session wrote and the world has not taken yet.
    pub written: Vec<u8>,
}

pub struct Port<S: Session> {
    session: S,
    out: Output<S::Event>,
    wake: Option<Time>,
    commands: VecDeque<S::Command>,
    pub events: VecDeque<S::Event>,
    pub wire: Wire,
}

fn drivers(now: LineTime) -> Time {
    Time(now.0)
}

impl<S: Session> Port<S> {
    pub fn new(session: S) -> Port<S> {
        Port {
            session,
            out: Output::new(),
            wake: None,
            commands: VecDeque::new(),
            events: VecDeque::new(),
            wire: Wire::default(),
        }
    }

    /// Waits in the device's channel until its task has its turn.
    pub fn command(&mut self, command: S::Command) {
        self.commands.push_back(command);
    }

    pub fn step(&mut self, now: LineTime, input: Input<'_, S::Command>) {
        self.out.clear();
        self.session.step(drivers(now), input, &mut self.out);
        self.wake = self.out.wake;
        if self.wire.up {
            self.wire.written.extend_from_slice(&self.out.bytes);
        }
        self.wire.close |= self.out.close;
        self.events.extend(self.out.events.drain(..));
    }

    pub fn connected(&mut self, now: LineTime) {
        self.wire = Wire { up: true, ..Wire::default() };
        self.step(now, Input::Connected);
    }

    pub fn disconnected(&mut self, now: LineTime) {
        self.wire = Wire::default();
        self.step(now, Input::Disconnected);
    }

    /// Commands first, then the clock.
    pub fn work(&mut self, now: LineTime) {
        while let Some(command) = self.commands.pop_front() {
            self.step(now, Input::Command(command));
        }
        if self.is_due(now) {
            self.step(now, Input::Tick);
        }
    }

    pub fn is_due(&self, now: LineTime) -> bool {
        !self.commands.is_empty() || self.wake.is_some_and(|w| w <= drivers(now))
    }
}
