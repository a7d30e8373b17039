//! Editions of the table of the probe server: what a reload is to take, made when a test says so.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::Weak;

use callgate::Gate;
use callgate::IncomingMessage;
use callgate::Session;
use callgate::gate::Reload;
use callgate::http::HandlerError;
use serde_json::Value;
use serde_json::json;

use crate::Control;
use crate::query;
use crate::table;

/// The file of the table, and the gate that serves it.
pub(crate) struct Editions {
    file: PathBuf,
    /// Weak, because the gate holds the handlers and they hold this.
    gate: OnceLock<Weak<Gate>>,
}

impl Editions {
    pub(crate) fn of(file: &Path) -> Self {
        Self { file: file.to_owned(), gate: OnceLock::new() }
    }

    /// Writes the first edition, unless an earlier process has left one.
    pub(crate) fn first(&self) {
        if !self.file.exists() {
            fs::write(&self.file, table("")).unwrap();
        }
    }

    pub(crate) fn serve(&self, gate: &Arc<Gate>) {
        assert!(self.gate.set(Arc::downgrade(gate)).is_ok(), "there is one gate");
    }
}

/// Makes the edition of this number, which alone has a row for `/edition/<number>`, and has the
/// gate read it; whether it serves now.
pub(crate) async fn reload(
    control: Arc<Control>,
    request: IncomingMessage,
    _: Session,
) -> Result<Value, HandlerError> {
    let Editions { file, gate } = &*control.editions;
    let number: u32 = query(&request, "edition").parse()?;
    let row = format!(r#"{{ "class": "Probe", "method": "say", "pattern": "edition/{number}" }},"#);
    let new = file.with_extension("new");
    fs::write(&new, table(&row))?;
    fs::rename(&new, file)?;
    let Some(gate) = gate.get().and_then(Weak::upgrade) else {
        return Err(HandlerError::new("the gate is gone"));
    };
    Ok(json!(!matches!(gate.reload().await, Reload::Refused(_))))
}
