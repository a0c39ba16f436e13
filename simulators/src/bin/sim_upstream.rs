//! `sim-upstream`: the simulated state system as a program.

use clap::{Parser, ValueEnum};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use tamga_simulators::model::xtrace::Xtrace;
use tamga_simulators::model::xtrace::fault::{Fault, FaultPlan, Rule};
use tamga_simulators::model::xtrace::settings::{CisType, ErrorShapes, Product, Settings};
use tamga_simulators::upstream::{self, Listen};

const EXAMPLE: &str = "\
Example: the first report's answer is lost after its effect, every tenth answer is late
  sim-upstream --port 8600 --control-port 8601 --api-key demo \\
    --product 04780000000014:water --product 14780000000011:water:group \\
    --fault drop_after:1.0:utilisation_create:1 --fault latency:0.1

  curl -H 'Authorization: Bearer demo' http://127.0.0.1:8600/api/orders
  curl http://127.0.0.1:8601/truth/summary
  curl -X POST -H 'Content-Type: application/json' http://127.0.0.1:8601/faults \\
    -d '{\"rules\":[{\"fault\":\"error_after\",\"rate\":0.2,\"status\":504}],\"clock_skew_ms\":-7200000}'";

/// A simulated state system (xTrace) for tests and demonstrations. It is not the real one: loopback only.
#[derive(Debug, Parser)]
#[command(name = "sim-upstream", version, after_help = EXAMPLE)]
struct Arguments {
    /// Port of the API; 0 takes a free one
    #[arg(long, default_value_t = 8600)]
    port: u16,
    /// Port of /truth, /truth/summary and /faults; 0 takes a free one
    #[arg(long, default_value_t = 8601)]
    control_port: u16,
    /// Kazakhstan: login and password, tokens of 30 minutes
    #[arg(long)]
    kz: bool,
    /// The API key (Uzbekistan)
    #[arg(long, default_value = "uz-key")]
    api_key: String,
    /// The login (Kazakhstan)
    #[arg(long, default_value = "demo")]
    login: String,
    /// The password (Kazakhstan)
    #[arg(long, default_value = "demo")]
    password: String,
    /// The owner's TIN
    #[arg(long, default_value = "301234567")]
    tin: String,
    /// A registered product; without any, a small demo set
    #[arg(long = "product", value_name = "GTIN:GROUP[:unit|group|set][:paid]", value_parser = product)]
    products: Vec<Product>,
    /// Seed of serials, tails, identifiers and faults
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// From a new order to READY
    #[arg(long, default_value_t = 1_000)]
    order_ms: u64,
    /// From an application report to its final status
    #[arg(long, default_value_t = 1_000)]
    utilisation_ms: u64,
    /// From a document to its final status
    #[arg(long, default_value_t = 1_200)]
    document_ms: u64,
    /// From APPLIED to INTRODUCED; without it codes stay APPLIED
    #[arg(long)]
    introduced_ms: Option<u64>,
    /// Calls of orders and reports per key and minute
    #[arg(long, default_value_t = 100)]
    calls_per_min: usize,
    /// How the bodies of errors look
    #[arg(long, value_enum, default_value_t = Shapes::ByEndpoint)]
    error_shapes: Shapes,
    /// The server's clock against the true one
    #[arg(long, default_value_t = 0, allow_hyphen_values = true)]
    clock_skew_ms: i64,
    /// A fault with its rate, and where and how often it strikes
    #[arg(long = "fault", value_name = "FAULT[:RATE[:ENDPOINT[:TIMES]]]", value_parser = rule)]
    faults: Vec<Rule>,
    /// A file with a plan of faults, as POST /faults takes it
    #[arg(long, value_name = "FILE")]
    faults_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shapes {
    ByEndpoint,
    Random,
    Array,
    ArrayWithContext,
    Object,
    Html,
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info")),
        )
        .with_writer(std::io::stderr)
        .init();
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("sim-upstream: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<(), String> {
    let loopback = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    let listen = Listen { api: loopback(arguments.port), control: loopback(arguments.control_port) };
    let plan = plan(&arguments)?;
    let mut model = Xtrace::new(settings(arguments));
    model.set_faults(plan);
    let handle = upstream::spawn_at(model, listen)
        .map_err(|error| format!("cannot listen on {} and {}: {error}", listen.api, listen.control))?;
    println!("api http://{}", handle.api_addr);
    println!("control http://{}", handle.control_addr);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot wait for signals: {error}"))?;
    runtime.block_on(tokio::signal::ctrl_c()).map_err(|error| format!("cannot wait for signals: {error}"))?;
    drop(handle);
    Ok(())
}

fn settings(arguments: Arguments) -> Settings {
    let mut settings = if arguments.kz { Settings::kz() } else { Settings::uz() };
    settings.seed = arguments.seed;
    for account in &mut settings.accounts {
        account.api_key.clone_from(&arguments.api_key);
        account.login.clone_from(&arguments.login);
        account.password.clone_from(&arguments.password);
        account.tin.clone_from(&arguments.tin);
    }
    if !arguments.products.is_empty() {
        settings.products = arguments.products;
    }
    settings.delays.order_pending_ms = arguments.order_ms / 5;
    settings.delays.order_ready_ms = arguments.order_ms - arguments.order_ms / 5;
    settings.delays.utilisation_ms = arguments.utilisation_ms;
    settings.delays.document_step_ms = arguments.document_ms / 3;
    settings.delays.introduced_ms = arguments.introduced_ms;
    settings.limits.calls_per_min_max = arguments.calls_per_min;
    settings.error_shapes = match arguments.error_shapes {
        Shapes::ByEndpoint => ErrorShapes::ByEndpoint,
        Shapes::Random => ErrorShapes::Random,
        Shapes::Array => ErrorShapes::Array,
        Shapes::ArrayWithContext => ErrorShapes::ArrayWithContext,
        Shapes::Object => ErrorShapes::Object,
        Shapes::Html => ErrorShapes::Html,
    };
    settings
}

fn plan(arguments: &Arguments) -> Result<FaultPlan, String> {
    let mut plan = match &arguments.faults_file {
        None => FaultPlan::default(),
        Some(path) => {
            let text = std::fs::read_to_string(path);
            let text = text.map_err(|error| format!("cannot read {}: {error}", path.display()))?;
            serde_json::from_str(&text)
                .map_err(|error| format!("{} is not a plan: {error}", path.display()))?
        }
    };
    plan.rules.extend(arguments.faults.iter().cloned());
    if arguments.clock_skew_ms != 0 {
        plan.clock_skew_ms = arguments.clock_skew_ms;
    }
    Ok(plan)
}

fn product(text: &str) -> Result<Product, String> {
    let parts: Vec<&str> = text.split(':').collect();
    let [gtin, group, rest @ ..] = parts.as_slice() else {
        return Err("GTIN:GROUP is wanted, as 04780000000014:water".to_owned());
    };
    if gtin.len() != 14 || !tamga_simulators::model::xtrace::layout::check_digit_is_right(gtin) {
        return Err(format!("{gtin} is not a GTIN of 14 digits with a valid check digit"));
    }
    let mut product = Product::unit(gtin, group);
    for word in rest {
        match *word {
            "unit" => product.cis_type = CisType::Unit,
            "group" => product.cis_type = CisType::Group,
            "set" => product.cis_type = CisType::Set,
            "paid" => product.paid = true,
            _ => return Err(format!("`{word}` is none of unit, group, set, paid")),
        }
    }
    Ok(product)
}

/// Reads the words by the same names as the JSON of the control port.
fn rule(text: &str) -> Result<Rule, String> {
    let mut words = text.split(':');
    let named = |name: &str| serde_json::Value::from(name);
    let name = words.next().unwrap_or_default();
    let known: BTreeMap<String, Fault> = Fault::ALL
        .into_iter()
        .filter_map(|fault| Some((serde_json::to_value(fault).ok()?.as_str()?.to_owned(), fault)))
        .collect();
    let fault = known.get(name).copied().ok_or_else(|| {
        format!("`{name}` is none of {}", known.keys().map(String::as_str).collect::<Vec<_>>().join(", "))
    })?;
    let mut rule = Rule::new(fault, 1.0);
    if let Some(rate) = words.next() {
        rule.rate =
            rate.parse().ok().filter(|rate| (0.0..=1.0).contains(rate)).ok_or("a rate is from 0 to 1")?;
    }
    if let Some(endpoint) = words.next().filter(|endpoint| !endpoint.is_empty()) {
        rule.endpoint = Some(serde_json::from_value(named(endpoint)).map_err(|error| error.to_string())?);
    }
    if let Some(times) = words.next() {
        rule.times = Some(times.parse().map_err(|_| "times is a whole number")?);
    }
    Ok(rule)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use tamga_simulators::model::xtrace::route::Endpoint;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn faults_and_products_are_read_from_words() {
        let read = rule("drop_after:0.5:utilisation_create:3").unwrap();
        let expected = Rule { rate: 0.5, ..Rule::next(Fault::DropAfter, Endpoint::UtilisationCreate, 3) };
        assert_eq!(read, expected);
        assert_eq!(rule("cut").unwrap(), Rule::new(Fault::Cut, 1.0));
        for bad in ["melt", "cut:2", "cut:1:nowhere", "cut:1:codes:many"] {
            assert!(rule(bad).is_err(), "{bad}");
        }
        let group =
            Product { cis_type: CisType::Group, paid: true, ..Product::unit("14780000000011", "water") };
        assert_eq!(product("14780000000011:water:group:paid"), Ok(group));
        for bad in ["04780000000015:water", "04780000000014", "04780000000014:water:box"] {
            assert!(product(bad).is_err(), "{bad}");
        }
    }
}
