//! Agents, a broker, and the cables between them.

pub mod agent;
pub mod cable;
pub mod mosquitto;
pub mod plant;
