//! A plant behind real sockets: a scripted client prints, reads and passes; connections break and come back.

use std::net::SocketAddr;
use std::time::Duration;

use tamga_simulators::fault::FaultPlan;
use tamga_simulators::model::belt::BeltConfig;
use tamga_simulators::model::plant::{Kind, PlantConfig};
use tamga_simulators::serve::{Handle, Order, Ports, ReaderRole, spawn};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

const LONG: Duration = Duration::from_secs(60);

fn code(serial: usize) -> Vec<u8> {
    format!("010460000000000121{serial:06}\x1d93dGVz").into_bytes()
}

fn config(kind: Kind, items: usize) -> PlantConfig {
    let belt = BeltConfig { items_per_min: 1200, total_items: Some(items as u64), ..BeltConfig::default() };
    let mut config = PlantConfig {
        kind,
        belt,
        belt_on: true,
        codes: (1..=items).map(code).collect(),
        ..PlantConfig::default()
    };
    // Real time: this machine may be busy, the next item must not come before this one is dealt with.
    config.reader.latency_ms_min = 1;
    config.reader.latency_ms_max = 2;
    config.belt.items_reader_to_gate = 20;
    config
}

async fn plant(config: PlantConfig, faults: &str, ports: Ports) -> Handle {
    spawn(config, FaultPlan::parse(faults).expect("a plan"), ports).await.expect("a plant")
}

struct Registers {
    stream: TcpStream,
    beat: u16,
}

impl Registers {
    async fn connect(addr: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(addr).await.expect("a gate"), beat: 0 }
    }

    async fn exchange(&mut self, pdu: &[u8]) -> Vec<u8> {
        let frame = [&[0, 7, 0, 0, 0, pdu.len() as u8 + 1, 1], pdu].concat();
        self.stream.write_all(&frame).await.expect("a gate that listens");
        let mut header = [0; 7];
        self.stream.read_exact(&mut header).await.expect("a gate that answers");
        let mut answer = vec![0; usize::from(header[5]) - 1];
        self.stream.read_exact(&mut answer).await.expect("a whole answer");
        assert_eq!(header[..2], [0, 7]);
        assert_eq!(answer[0], pdu[0]);
        answer
    }

    async fn read(&mut self, address: u8, count: u8) -> Vec<u16> {
        let answer = self.exchange(&[4, 0, address, 0, count]).await;
        answer[2..].chunks(2).map(|v| u16::from_be_bytes([v[0], v[1]])).collect()
    }

    async fn write(&mut self, address: u8, [high, low]: [u16; 2]) {
        let (h, l) = (high.to_be_bytes(), low.to_be_bytes());
        self.exchange(&[16, 0, address, 0, 2, 4, h[0], h[1], l[0], l[1]]).await;
    }

    async fn beat(&mut self) {
        self.beat = self.beat.wrapping_add(1);
        self.write(0, [self.beat, 1]).await;
    }

    async fn pass(&mut self, tag: u16) {
        self.write(2 + 2 * (tag % 32) as u8, [0, tag]).await;
    }
}

/// Passes every tag whose result is a code until `items` results have come; results come in the order of tags.
async fn work(reader: impl AsyncReadExt + Unpin, gate: &mut Registers, items: u16) -> Vec<Vec<u8>> {
    let mut reader = BufReader::new(reader);
    let mut lines = Vec::new();
    let mut line = Vec::new();
    while lines.len() < usize::from(items) {
        gate.beat().await;
        let read =
            tokio::time::timeout(Duration::from_millis(200), reader.read_until(b'\n', &mut line)).await;
        if !matches!(read, Ok(Ok(1..))) {
            continue;
        }
        lines.push(line.strip_suffix(b"\r\n").expect("a whole line").to_vec());
        line.clear();
        gate.pass(lines.len() as u16).await;
    }
    lines
}

async fn keep_beating(gate: &mut Registers, plant: &Handle) {
    while !plant.summary().finished {
        gate.beat().await;
        let _ = plant.wait(Duration::from_millis(100), |s| s.finished).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_labels_are_printed_read_back_and_passed() {
    let plant = plant(config(Kind::PrintAndApply, 20), "none", Ports::loopback()).await;
    let mut printer = TcpStream::connect(plant.printer_addr().unwrap()).await.unwrap();
    let reader = TcpStream::connect(plant.reader_addr().unwrap()).await.unwrap();
    let mut gate = Registers::connect(plant.gate_addr().unwrap()).await;
    plant.wait(LONG, |s| s.reader_connected && s.printer_connected).await.unwrap();
    for serial in 1..=20 {
        let data = String::from_utf8(code(serial)).unwrap().replace('\x1d', "@1");
        let job = format!("^XA^JZN^FO60,60^BXN,8,200,22,22,,@^FD@1{data}^FS^PQ1,0,0,N^XZ");
        printer.write_all(job.as_bytes()).await.unwrap();
    }
    let lines = work(reader, &mut gate, 20).await;
    assert_eq!(lines, (1..=20).map(code).collect::<Vec<_>>());
    keep_beating(&mut gate, &plant).await;
    printer.write_all(b"! U1 getvar \"odometer.total_label_count\"\r\n").await.unwrap();
    let mut odometer = [0; 4];
    printer.read_exact(&mut odometer).await.unwrap();
    assert_eq!(&odometer, b"\"20\"");
    assert_eq!(gate.read(4, 8).await, [0, 20, 0, 20, 0, 0, 0, 0]);
    let truth = plant.truth();
    assert_eq!(truth.passed_codes(), lines);
    assert!(truth.codes_printed_twice().is_empty());
    plant.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_reader_can_be_the_one_who_calls() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let role = ReaderRole::Connect(listener.local_addr().unwrap());
    let ports = Ports { reader: Some(role), ..Ports::loopback() };
    let plant = plant(config(Kind::PrePrinted, 5), "none", ports).await;
    assert_eq!(plant.reader_addr(), None);
    let (reader, _) = listener.accept().await.unwrap();
    let mut gate = Registers::connect(plant.gate_addr().unwrap()).await;
    assert_eq!(work(reader, &mut gate, 5).await, (1..=5).map(code).collect::<Vec<_>>());
    plant.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cycle_breaks_the_connection_and_loses_the_buffer() {
    let mut config = config(Kind::PrintAndApply, 20);
    config.power_off_ms = 10;
    config.printer.boot_ms = 10;
    let plant = plant(config, "none", Ports::loopback()).await;
    let addr = plant.printer_addr().unwrap();
    let mut printer = TcpStream::connect(addr).await.unwrap();
    printer.write_all(&b"^XA^BXN,8,200^FDabc^FS^XZ".repeat(9)).await.unwrap();
    plant.wait(LONG, |s| s.labels_on_web == 3 && s.formats_waiting == 6).await.unwrap();
    plant.order(Order::PrinterPowerCycle);
    assert!(matches!(printer.read(&mut [0; 9]).await, Ok(0) | Err(_)), "the printer hangs up");
    plant.wait(LONG, |s| s.printer_up).await.unwrap();
    let mut printer = TcpStream::connect(addr).await.unwrap();
    printer.write_all(b"~HI").await.unwrap();
    assert_eq!(printer.read_u8().await.unwrap(), 0x02);
    let summary = plant.summary();
    assert_eq!((summary.labels_on_web, summary.formats_waiting, summary.odometer), (3, 0, 3));
    plant.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_connection_leaves_whole_formats_behind() {
    let plant = plant(config(Kind::PrintAndApply, 20), "printer-cut=1", Ports::loopback()).await;
    let mut printer = TcpStream::connect(plant.printer_addr().unwrap()).await.unwrap();
    let _ = printer.write_all(&b"^XA^BXN,8,200^FDabc^FS^XZ".repeat(99)).await;
    assert!(matches!(printer.read(&mut [0; 9]).await, Ok(0) | Err(_)), "the connection breaks");
    plant.wait(LONG, |s| s.faults_struck == 1 && !s.printer_connected).await.unwrap();
    assert!(plant.summary().formats_waiting < 99);
    plant.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_control_window_shows_and_changes() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = PlantConfig { belt_on: false, ..config(Kind::PrePrinted, 5) };
    let plant = plant(PlantConfig { needs_gate: false, ..config }, "none", Ports::loopback()).await;
    let url = format!("http://{}", plant.control_addr().unwrap());
    let http = reqwest::Client::new();
    let get = async |path: &str| -> serde_json::Value {
        http.get(format!("{url}{path}")).send().await.unwrap().json().await.unwrap()
    };
    let post = async |path: &str, body: serde_json::Value| {
        http.post(format!("{url}{path}")).json(&body).send().await.unwrap().status().as_u16()
    };
    let nothing = serde_json::Value::Null;
    assert_eq!(post("/printer/ribbon-out", nothing.clone()).await, 200);
    assert_eq!(get("/truth/summary").await["printer_blocked"], true);
    assert_eq!(post("/printer/dance", nothing.clone()).await, 404);
    assert_eq!(post("/faults", serde_json::json!({"list": "no-raed"})).await, 400);
    assert_eq!(post("/faults", serde_json::json!({"rates": {"no-read": 1.0}})).await, 200);
    assert_eq!(post("/belt/start", nothing).await, 200);
    plant.wait_finished(LONG).await.unwrap();
    let truth = get("/truth").await;
    assert_eq!(truth["items"][0]["marks"][0]["symbol"], "010460000000000121000001\u{1d}93dGVz");
    assert_eq!(truth["items"][0]["fate"], "rejected");
    let faults = get("/faults").await;
    let no_read = faults.as_array().unwrap().iter().find(|f| f["kind"] == "no-read").unwrap();
    assert_eq!((&no_read["rate"], &no_read["struck"]), (&1.0.into(), &5.into()));
    plant.shutdown().await;
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ports = Ports { printer: taken.local_addr().ok(), ..Ports::default() };
    let error = spawn(PlantConfig::default(), FaultPlan::none(), ports).await.unwrap_err();
    assert!(error.to_string().contains("is the port taken?"), "{error}");
}
