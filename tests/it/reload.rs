//! A table that changes while the gate serves: a good one is taken whole, a bad one never.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use callgate::Gate;
use callgate::OutgoingMessage;
use callgate::Settings;
use callgate::Singleton;
use callgate::base::clock::ManualClock;
use callgate::gate::Answer;
use callgate::gate::Listeners;
use callgate::gate::Reload;
use callgate::settings::AutoReload;
use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::support::probe;
use crate::support::probe::Probe;
use crate::support::settings;
use crate::support::wire::Wire;
use crate::support::wire::soon;

/// A gate whose table is a file that a test may do anything to.
struct Place {
    folder: TempDir,
    gate: Gate,
    probe: Arc<Probe>,
}

/// A table whose only row answers `/which` with `mark`.
fn table(mark: &str) -> String {
    format!(r#"[{{ "class": "Mark", "method": "{mark}", "pattern": "which" }}]"#)
}

impl Place {
    /// A gate with the table `g1`.
    async fn new() -> Self {
        Self::under(settings()).await
    }

    /// The same with the table where `lay` lays it.
    async fn with(lay: impl FnOnce(&Path) -> PathBuf) -> Self {
        Self::opened(lay, settings()).await
    }

    /// The table `g1` under other settings.
    async fn under(settings: Settings) -> Self {
        let lay = |folder: &Path| {
            fs::write(folder.join("handlers.json"), table("g1")).unwrap();
            folder.join("handlers.json")
        };
        Self::opened(lay, settings).await
    }

    async fn opened(lay: impl FnOnce(&Path) -> PathBuf, settings: Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings { handlers: lay(folder.path()), ..settings };
        let mut marks = Singleton::new("Mark", ());
        for mark in ["g1", "g2", "g3"] {
            let says = move || OutgoingMessage::new().with_body(mark);
            marks = marks.method(mark, move |_, _, _| std::future::ready(says()));
        }
        let probe = Arc::new(Probe::new());
        let gate = Gate::builder(settings)
            .singleton(marks)
            .singleton(probe::singleton(Arc::clone(&probe)))
            .clock(Arc::new(ManualClock::default()))
            .open()
            .await
            .unwrap();
        Self { folder, gate, probe }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self) -> PathBuf {
        self.path("handlers.json")
    }

    fn write(&self, text: impl AsRef<[u8]>) {
        fs::write(self.file(), text).unwrap();
    }

    /// Looks twice, as often as a change needs to be taken.
    async fn look(&self) -> Reload {
        assert_eq!(self.gate.look().await, Reload::Unchanged, "one look alone takes nothing");
        self.gate.look().await
    }

    async fn ask(&self) -> Answer {
        self.gate.client().get("/which").send().await
    }

    /// Fails unless the table `mark` serves as the generation `generation`.
    async fn serves(&self, mark: &str, generation: u64) {
        let answer = self.ask().await;
        assert_eq!((answer.status, &*answer.text()), (200, mark));
        assert_eq!(self.gate.table().generation, generation);
    }

    /// Fails unless the newest table is refused, and the table `g1` serves on; what is wrong.
    async fn refuses(&self) -> Vec<String> {
        let Reload::Refused(lines) = self.look().await else { panic!("it was not refused") };
        self.serves("g1", 1).await;
        let refused = self.gate.table().refused.expect("it is remembered as refused");
        assert_eq!(refused.problems, lines);
        assert_eq!(self.look().await, Reload::Unchanged, "the same is not judged twice");
        assert_eq!(self.gate.table().refused, Some(refused), "and stays refused");
        lines
    }
}

#[tokio::test]
async fn a_changed_table_is_taken_whole() {
    let place = Place::new().await;
    place.serves("g1", 1).await;
    place.write(r#"[{ "class": "Mark", "method": "g2", "pattern": "other" }]"#);
    assert_eq!(place.look().await, Reload::Taken);
    assert_eq!(place.ask().await.status, 404, "no row of the old table is left");
    let table = place.gate.table();
    assert_eq!((table.rows, table.generation, table.refused), (1, 2, None));
}

#[tokio::test]
async fn who_asks_for_a_reload_need_not_wait_for_a_second_look() {
    let place = Place::new().await;
    place.write(table("g2"));
    assert_eq!(place.gate.reload().await, Reload::Taken);
    place.serves("g2", 2).await;
}

#[tokio::test]
async fn the_same_content_is_no_new_generation() {
    let place = Place::new().await;
    place.write(table("g1"));
    assert_eq!(place.look().await, Reload::Unchanged);
    fs::write(place.path("new"), table("g1")).unwrap();
    fs::rename(place.path("new"), place.file()).unwrap();
    assert_eq!(place.look().await, Reload::Unchanged);
    assert_eq!(place.gate.reload().await, Reload::Unchanged);
    place.serves("g1", 1).await;
}

#[tokio::test]
async fn a_file_renamed_over_the_table_is_taken() {
    let place = Place::new().await;
    for (mark, generation) in [("g2", 2), ("g3", 3)] {
        fs::write(place.path("new"), table(mark)).unwrap();
        fs::rename(place.path("new"), place.file()).unwrap();
        assert_eq!(place.look().await, Reload::Taken);
        place.serves(mark, generation).await;
    }
}

#[tokio::test]
async fn a_link_that_leads_elsewhere_is_followed() {
    let place = Place::with(|folder| {
        fs::write(folder.join("one.json"), table("g1")).unwrap();
        fs::write(folder.join("two.json"), table("g2")).unwrap();
        symlink("one.json", folder.join("handlers.json")).unwrap();
        folder.join("handlers.json")
    })
    .await;
    symlink("two.json", place.path("new")).unwrap();
    fs::rename(place.path("new"), place.file()).unwrap();
    assert_eq!(place.look().await, Reload::Taken);
    place.serves("g2", 2).await;
}

#[tokio::test]
async fn a_volume_of_kubernetes_that_is_swapped_is_taken() {
    // handlers.json -> ..data/handlers.json, ..data -> ..2026_1: only the middle link changes.
    let place = Place::with(|folder| {
        for (version, mark) in [("..2026_1", "g1"), ("..2026_2", "g2")] {
            fs::create_dir(folder.join(version)).unwrap();
            fs::write(folder.join(version).join("handlers.json"), table(mark)).unwrap();
        }
        symlink("..2026_1", folder.join("..data")).unwrap();
        symlink("..data/handlers.json", folder.join("handlers.json")).unwrap();
        folder.join("handlers.json")
    })
    .await;
    symlink("..2026_2", place.path("..data_tmp")).unwrap();
    fs::rename(place.path("..data_tmp"), place.path("..data")).unwrap();
    fs::remove_dir_all(place.path("..2026_1")).unwrap();
    assert_eq!(place.look().await, Reload::Taken);
    place.serves("g2", 2).await;
}

#[tokio::test]
async fn an_editor_that_keeps_a_backup_is_no_deletion() {
    let place = Place::new().await;
    // What vim does with backupcopy=no: the table is away for a moment, and then half there.
    fs::rename(place.file(), place.path("handlers.json~")).unwrap();
    assert_eq!(place.gate.look().await, Reload::Unchanged);
    place.write(&table("g2")[..20]);
    assert_eq!(place.gate.look().await, Reload::Unchanged);
    place.write(table("g2"));
    assert_eq!(place.gate.look().await, Reload::Unchanged);
    fs::remove_file(place.path("handlers.json~")).unwrap();
    assert_eq!(place.gate.table().refused, None, "nothing of it was worth a complaint");
    assert_eq!(place.gate.look().await, Reload::Taken);
    place.serves("g2", 2).await;
}

#[tokio::test]
async fn half_a_table_is_refused_and_the_whole_one_taken_when_it_arrives() {
    let place = Place::new().await;
    place.write("");
    place.refuses().await;
    let whole = table("g2");
    place.write(&whole[..whole.len() - 1]);
    let lines = place.refuses().await;
    let start = format!("{}:1:", place.file().display());
    assert!(lines[0].starts_with(&start), "{lines:?}");
    place.write(whole);
    assert_eq!(place.look().await, Reload::Taken);
    place.serves("g2", 2).await;
    assert_eq!(place.gate.table().refused, None);
}

#[tokio::test]
async fn a_table_that_was_deleted_may_come_back() {
    let place = Place::new().await;
    fs::remove_file(place.file()).unwrap();
    let lines = place.refuses().await;
    assert!(lines[0].contains("handlers.json: cannot be read: No such file"), "{lines:?}");
    place.write(table("g2"));
    assert_eq!(place.look().await, Reload::Taken);
    place.serves("g2", 2).await;
}

/// Puts something where the table is expected.
type Lay = fn(&Path);

#[tokio::test]
async fn what_is_no_file_of_text_is_refused_and_hangs_nobody() {
    let place = Place::new().await;
    fs::write(place.path("file"), "x").unwrap();
    let lay: [(&str, Lay); 9] = [
        ("is not a file", |path| fs::create_dir(path).unwrap()),
        ("is not a file", |path| {
            let made = Command::new("mkfifo").arg(path).status().unwrap();
            assert!(made.success());
        }),
        ("is not a file", |path| symlink("/dev/zero", path).unwrap()),
        ("cannot be read: No such file", |path| symlink("nowhere", path).unwrap()),
        ("cannot be read: Too many", |path| symlink("handlers.json", path).unwrap()),
        ("cannot be read: Not a directory", |path| symlink("file/handlers", path).unwrap()),
        (":1:3: error: is not UTF-8: the byte 0xFF", |path| fs::write(path, b"[ \xff ]").unwrap()),
        ("has more than 1048576 bytes", |path| {
            fs::write(path, format!("{}{}", table("g2"), " ".repeat(1024 * 1024))).unwrap();
        }),
        // A file with a hole of a terabyte, which no memory could hold.
        ("has more than 1048576 bytes", |path| {
            fs::File::create(path).unwrap().set_len(1 << 40).unwrap();
        }),
    ];
    for (why, lay) in lay {
        fs::remove_file(place.file()).unwrap();
        lay(&place.file());
        let lines = soon(place.refuses()).await;
        assert!(lines.len() == 1 && lines[0].contains(why), "{why}: {lines:?}");
        fs::remove_file(place.file()).or_else(|_| fs::remove_dir(place.file())).unwrap();
        place.write(table("g1"));
        assert_eq!(place.look().await, Reload::Unchanged);
        assert_eq!(place.gate.table().refused, None);
    }
}

#[tokio::test]
async fn a_table_that_may_not_be_read_is_refused() {
    let place = Place::new().await;
    let chmod = |mode| fs::set_permissions(place.file(), fs::Permissions::from_mode(mode)).unwrap();
    chmod(0o000);
    if fs::read(place.file()).is_ok() {
        // Nothing is closed to root; then the table has not changed.
        assert_eq!(place.look().await, Reload::Unchanged);
        return place.serves("g1", 1).await;
    }
    let lines = place.refuses().await;
    assert!(lines[0].contains("cannot be read: Permission denied"), "{lines:?}");
    chmod(0o644);
    assert_eq!(place.look().await, Reload::Unchanged);
    place.serves("g1", 1).await;
    assert_eq!(place.gate.table().refused, None);
}

#[tokio::test]
async fn a_change_that_file_times_do_not_tell_is_taken() {
    let place = Place::new().await;
    let modified = fs::metadata(place.file()).unwrap().modified().unwrap();
    // In place, as long as before, and as old.
    place.write(table("g2"));
    fs::File::options().write(true).open(place.file()).unwrap().set_modified(modified).unwrap();
    assert_eq!(place.look().await, Reload::Taken);
    place.serves("g2", 2).await;
}

#[tokio::test]
async fn the_table_in_use_is_welcome_back_after_a_bad_one() {
    let place = Place::new().await;
    place.write("[");
    place.refuses().await;
    place.write(table("g1"));
    assert_eq!(place.look().await, Reload::Unchanged);
    assert_eq!(place.gate.table().refused, None);
    place.serves("g1", 1).await;
}

#[tokio::test]
async fn every_problem_is_told_with_its_place() {
    let place = Place::new().await;
    place.write(
        "[\n  { \"class\": \"Mark\", \"method\": \"g2\", \"regexPattern\": \"(\" },\n  7\n]",
    );
    let lines = place.refuses().await;
    let file = place.file().display().to_string();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with(&format!("{file}:2:")), "{lines:?}");
    assert!(lines[1].starts_with(&format!("{file}:3:3: error: row 2: ")), "{lines:?}");
}

#[tokio::test]
async fn a_bad_table_does_not_flood_the_log_or_tell_what_may_be_a_secret() {
    let place = Place::new().await;
    let secret = "2E5D0D57751D471DB29FD110D2DCE253";
    let row = format!(r#"{{ "class": "Mark", "method": "g2", "regexPattern": "({secret}" }}"#);
    let rows = vec![row; 500].join(",");
    place.write(format!("[{rows}]"));
    let lines = place.refuses().await;
    assert_eq!(lines.len(), 21);
    assert_eq!(lines[20], "and 480 more; callgate check lists them all");
    assert!(lines.iter().all(|line| line.len() <= 512 && !line.contains("2E5D")), "{lines:?}");
}

#[tokio::test]
async fn strict_refuses_a_new_table_with_warnings_like_the_first() {
    let place = Place::under(Settings { strict: true, ..settings() }).await;
    place.write(table("g9"));
    let lines = place.refuses().await;
    assert!(lines[0].contains("warning: row 1: nothing answers \"Mark.g9\""), "{lines:?}");
    place.write(table("g2"));
    assert_eq!(place.look().await, Reload::Taken);
}

#[tokio::test]
async fn a_row_without_a_function_answers_after_a_reload_as_after_a_start() {
    let place = Place::new().await;
    place.write(table("g9"));
    assert_eq!(place.look().await, Reload::Taken);
    let answer = place.ask().await;
    assert_eq!(answer.status, 500);
    assert_eq!(answer.json()["__ERROR"][0]["message"], "Cannot find singleton function");
}

#[tokio::test]
async fn a_request_ends_by_the_table_that_it_began_with() {
    let place = Place::with(|folder| {
        let file = folder.join("handlers.json");
        let row = r#"[{ "class": "Probe", "method": "linger", "pattern": "linger" }]"#;
        fs::write(&file, row).unwrap();
        file
    })
    .await;
    let under_way = place.gate.client().get("/linger?value=done");
    let under_way = tokio::spawn(under_way.send());
    soon(place.probe.arrival()).await;
    place.write(table("g2"));
    assert_eq!(place.look().await, Reload::Taken);
    place.serves("g2", 2).await;
    place.probe.door.add_permits(1);
    let answer = soon(under_way).await.unwrap();
    assert_eq!((answer.status, &answer.json()["storage"]["lingered"]), (200, &json!("done")));
    assert_eq!(place.gate.client().get("/linger").send().await.status, 404);
}

#[tokio::test]
async fn a_table_that_was_given_as_a_text_is_never_reloaded() {
    let place = Place::new().await;
    let settings = Settings { handlers: place.file(), ..settings() };
    let gate = Gate::builder(settings).table("[]").open().await.unwrap();
    place.write(table("g2"));
    assert_eq!(gate.reload().await, Reload::Unchanged);
    assert_eq!(gate.table().generation, 1);
    assert_eq!(gate.client().get("/which").send().await.status, 404);
}

#[tokio::test]
async fn readyz_tells_generation_and_refusal_and_stays_ready() {
    // Nobody but the test looks at the file.
    let place = Place::under(Settings { reload: AutoReload::Off, ..settings() }).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let internal = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = internal.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let stop_soon = async { stopped.await.unwrap_or(()) };
    let asking = async {
        let mut wire = Wire::open(address).await;
        let mut table = async || {
            let ready = wire.get("/readyz").await;
            assert_eq!(ready.status, 200, "an old table serves, too");
            ready.json()["table"].clone()
        };
        assert_eq!(table().await, json!({ "rows": 1, "generation": 1, "refused": Value::Null }));
        place.write("[{}]");
        assert!(matches!(place.gate.reload().await, Reload::Refused(_)));
        let told = table().await;
        assert_eq!(told["generation"], 1);
        // The hour of the manual clock.
        assert_eq!(told["refused"]["at"], "2026-01-01T00:00:00.000Z");
        assert_eq!(told["refused"]["problems"], 3, "which, operators are told");
        place.write("[]");
        assert_eq!(place.gate.reload().await, Reload::Taken);
        assert_eq!(table().await, json!({ "rows": 0, "generation": 2, "refused": Value::Null }));
        stop.send(()).unwrap();
    };
    tokio::join!(
        place.gate.serve(Listeners::new(listener).internal(internal), stop_soon),
        soon(asking)
    );
}
