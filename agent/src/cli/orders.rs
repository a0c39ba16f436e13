//! `tamga orders …`: orders of codes, and the one of the cabinet that a person assigns to this agent.

use clap::{Args, Subcommand};

use super::Failed;
use super::daemon::Daemon;
use super::out::{Show, or_dash, short};
use crate::web::{asks, dto};

/// List orders of codes; assign an order of the cabinet to this agent
#[derive(Args)]
#[command(after_help = "Example:
  tamga orders list
  tamga orders assign 2f0c7a9e-5a2b-4c7d-9d53-1c1f0e6b7a11 --gtin 04600000000015")]
pub struct Orders {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    List(List),
    Assign(Assign),
}

/// List orders, newest first
#[derive(Args)]
#[command(after_help = "Example:
  tamga orders list --limit 5")]
struct List {
    /// How many, at most 200
    #[arg(long, default_value_t = 20)]
    limit: u32,
    /// Only orders older than this one
    #[arg(long, value_name = "ORDER")]
    before: Option<u32>,
}

/// Assign an order of the cabinet: this agent, and no other, takes its codes
#[derive(Args)]
#[command(after_help = "Example:
  tamga orders assign 2f0c7a9e-5a2b-4c7d-9d53-1c1f0e6b7a11 --gtin 04600000000015

Nobody may have taken codes of it, and nobody else may take any: else a code would be printed twice.
An order with several products is assigned once for each of them.")]
struct Assign {
    /// The order's id in the cabinet
    order: String,
    /// Its product: 14 digits
    #[arg(long)]
    gtin: String,
}

pub async fn run(daemon: &Daemon, show: Show, command: Orders) -> Result<(), Failed> {
    match command.command {
        Command::List(command) => list(daemon, show, &command).await,
        Command::Assign(command) => {
            let body = asks::AssignOrder { order: command.order, gtin: command.gtin };
            let assigned: dto::Assigned = daemon.post("/api/v1/orders/assign", &body).await?;
            let order = assigned.order.to_string();
            show.print(&assigned, |text| text.say("cli.order_assigned", &[("order", &order)]));
            Ok(())
        }
    }
}

async fn list(daemon: &Daemon, show: Show, command: &List) -> Result<(), Failed> {
    let before = command.before.map(|order| format!("&before={order}")).unwrap_or_default();
    let orders: Vec<dto::Order> =
        daemon.get(&format!("/api/v1/orders?limit={}{before}", command.limit)).await?;
    show.print(&orders, |text| {
        if orders.is_empty() {
            return text.say("cli.no_orders", &[]);
        }
        let row = |order: &dto::Order| {
            let why = if order.why.is_empty() { String::new() } else { format!(": {}", order.why) };
            vec![
                order.order.to_string(),
                order.number.clone(),
                order.gtin.clone(),
                order.quantity.to_string(),
                order.received.to_string(),
                order.pooled.to_string(),
                or_dash(order.expires.as_deref().map(short)),
                format!("{}{why}", order.state.text),
            ]
        };
        let headings = [
            "cli.l_order",
            "cli.l_number",
            "cli.l_gtin",
            "cli.l_quantity",
            "cli.l_received",
            "cli.l_pooled",
            "cli.l_expires",
            "cli.l_state",
        ];
        text.table(&headings, &orders.iter().map(row).collect::<Vec<_>>());
    });
    Ok(())
}
