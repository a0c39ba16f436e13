//! A packing desk: an agent with one station that packs items of a run that was made before, its scanner and its printer.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tamga::config::Config;
use tamga::run::Daemon;
use tamga::store::read::Reader;
use tamga_domain::ids::StationNo;
use tamga_domain::pack::PackFacts;
use tamga_domain::record::RunState;
use tamga_domain::sscc::Sscc;
use tamga_simulators::fault::FaultPlan;
use tamga_simulators::model::plant::PlantConfig;
use tamga_simulators::model::printer::{PrintMode, PrinterConfig};
use tamga_simulators::serve::{self, Ports};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_serial::{SerialPort as _, SerialStream};

use crate::kit::{self, Folder};
use crate::world::{free_port, until};

const PATIENCE: Duration = Duration::from_secs(20);

/// What the scanner is sent for the person's ears.
pub const TAKEN: u8 = b'+';
pub const CLOSED: u8 = b'!';
pub const REFUSED: u8 = b'-';

pub struct Desk {
    pub printer: serve::Handle,
    /// The folder of the database, from which the agent was started; the other files are beside it.
    pub folder: Folder,
    pub scanner: Scanner,
    link: PathBuf,
    config: PathBuf,
    agent: Option<Daemon>,
}

/// A scanner in a hand, plugged in: the other end of a pty, found under a name as by udev.
pub struct Scanner {
    line: SerialStream,
    _open: std::fs::File,
    heard: Vec<u8>,
}

impl Scanner {
    fn plug_in(link: &Path) -> Scanner {
        let (line, mut device) = SerialStream::pair().unwrap();
        device.set_exclusive(false).unwrap();
        let name = device.name().unwrap();
        drop(std::fs::remove_file(link));
        std::os::unix::fs::symlink(&name, link).unwrap();
        // Without an open end of this side the pty would end whenever the agent is away.
        let open = std::fs::OpenOptions::new().read(true).write(true).open(name).unwrap();
        Scanner { line, _open: open, heard: Vec::new() }
    }

    /// Scans something: its bytes and the end that the scanner is set to.
    pub async fn scan(&mut self, bytes: &[u8]) {
        self.line.write_all(&[bytes, b"\r\n"].concat()).await.unwrap();
    }

    /// The next sound.
    pub async fn hears(&mut self) -> u8 {
        while self.heard.is_empty() {
            let mut more = [0; 64];
            let heard = tokio::time::timeout(PATIENCE, self.line.read(&mut more)).await;
            let n = heard.expect("a sound in time").unwrap();
            self.heard.extend_from_slice(&more[..n]);
        }
        self.heard.remove(0)
    }
}

impl Desk {
    /// A desk with so many items that passed, packed by `capacity`.
    pub async fn new(passed: u32, capacity: u32) -> Desk {
        Desk::of_run(passed, capacity, false).await
    }

    /// [`Desk::new`], whose run is closed or not.
    pub async fn of_run(passed: u32, capacity: u32, closed: bool) -> Desk {
        let mut books = kit::World::new();
        books.pool(passed + 10);
        let run = books.run("r1");
        for first in (1..=passed).step_by(100) {
            books.issue(run, (passed + 1 - first).min(100));
        }
        for n in 1..=passed {
            books.pass_item(run, n, n);
        }
        if closed {
            books.run_state(run, RunState::Closing).unwrap();
            books.run_state(run, RunState::Closed).unwrap();
        }
        let kit::World { store, folder, .. } = books;
        drop(store);
        let any = "127.0.0.1:0".parse().ok();
        let ports = Ports { printer: any, reader: None, gate: None, control: None };
        // Labels are torn off: nothing waits for an applicator.
        let printer = PrinterConfig {
            mode: PrintMode::Stream { web_capacity: 100_000 },
            first_label_ms: 5,
            label_ms: 5,
            ..PrinterConfig::default()
        };
        let printer = PlantConfig { printer, ..PlantConfig::default() };
        let printer = serve::spawn(printer, FaultPlan::none(), ports).await.unwrap();
        let beside = |what: &str| folder.path().with_extension(what);
        let (link, config) = (beside("tty"), beside("toml"));
        let scanner = Scanner::plug_in(&link);
        let text = text_of(folder.path(), &link, printer.printer_addr().unwrap(), capacity);
        std::fs::write(&config, text).unwrap();
        let mut desk = Desk { printer, folder, scanner, link, config, agent: None };
        desk.start().await;
        desk
    }

    pub async fn start(&mut self) {
        let config = Config::load(&self.config).unwrap_or_else(|problems| panic!("{problems}"));
        let agent = tamga::run::start(config, None).await;
        self.agent = Some(agent.unwrap_or_else(|e| panic!("{}", tamga::chain::chain(&e))));
    }

    pub async fn stop(&mut self) {
        if let Some(agent) = self.agent.take() {
            agent.stop().await;
        }
    }

    /// The scanner is pulled out, and another time plugged in: the kernel gives it another number.
    pub fn plug_in_again(&mut self) {
        self.scanner = Scanner::plug_in(&self.link);
    }

    fn books<T>(&self, look: impl FnOnce(&tamga::store::read::View<'_>) -> T) -> T {
        let reader = Reader::open(self.folder.path()).unwrap();
        let view = reader.view().unwrap();
        look(&view)
    }

    pub fn pack(&self, name: Sscc) -> Option<PackFacts> {
        self.books(|view| view.pack(name.into()).unwrap())
    }

    pub fn open(&self) -> Option<PackFacts> {
        self.books(|view| view.open_pack(StationNo(0)).unwrap())
    }

    pub fn is_sound(&self) -> bool {
        self.books(|view| tamga::store::verify::verify(view).unwrap().is_empty())
    }

    /// The symbol of label number `n`, from zero, once it is printed.
    pub async fn label(&self, n: usize) -> Vec<u8> {
        until("a label", PATIENCE, async || {
            let labels = self.printer.truth().labels;
            labels.get(n).and_then(|label| label.symbol.clone())
        })
        .await
    }

    /// The bar code of label number `n`, once it is printed.
    pub async fn bar(&self, n: usize) -> Vec<u8> {
        self.label(n).await;
        self.printer.truth().labels[n].bar.clone().expect("a bar code beside the symbol")
    }

    /// Closes everything; nothing is left in the folder for temporary files.
    pub async fn end(mut self) {
        self.stop().await;
        let Desk { printer, folder, link, config, .. } = self;
        printer.shutdown().await;
        for file in [link, config] {
            std::fs::remove_file(file).unwrap();
        }
        drop(std::fs::remove_dir_all(folder.path().with_extension("witness")));
    }
}

fn text_of(data: &Path, scanner: &Path, printer: std::net::SocketAddr, capacity: u32) -> String {
    format!(
        r#"
[agent]
data = "{data}"
witness = "{data}.witness"
country = "uz"
language = "en"
[api]
listen = "{api}"
[log]
level = "warn"
[[products]]
gtin = "{gtin}"
name = "Water 0.5 l"
group = "water"
[sscc]
extension = 0
company_prefix = "4780001"
first = 100
last = 99999
[stations.box1]
level = "box"
holds = "items"
capacity = {capacity}
[stations.box1.sounds]
taken = "+"
closed = "!"
refused = "-"
[stations.box1.reader.text]
serial = "{scanner}"
baud = 115200
gs_substitutes = ["^"]
[stations.box1.printer.zpl]
address = "{printer}"
label_width_dots = 800
label_length_dots = 400
gs1_128 = {{ x = 60, y = 160, module_dots = 4, height = 200 }}
poll_ms = 20
texts = [{{ x = 300, y = 40, height = 40, text = "{{sscc}} {{content}}" }}]
"#,
        data = data.display(),
        api = free_port(),
        gtin = String::from_utf8_lossy(kit::GTIN),
        scanner = scanner.display(),
    )
}
