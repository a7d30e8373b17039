//! What is odd about a row only once it meets the rest of the program.

use crate::http::Handlers;
use crate::http::Missing;
use crate::settings::SameSite;
use crate::settings::Settings;
use crate::table::Problem;
use crate::table::Row;
use crate::table::Table;
use crate::table::Target;

/// The code of a row that nothing answers.
pub(super) const MISSING_FUNCTION: &str = "missing-function";

/// Warnings about the rows of `table`, in their order: what nothing answers, and what the
/// settings make pointless. The file they name is the one of the settings.
pub fn lint(table: &Table, settings: &Settings, handlers: &dyn Handlers) -> Vec<Problem> {
    let file = settings.handlers.display().to_string();
    table.rows().iter().flat_map(|row| of_row(row, &file, settings, handlers)).collect()
}

fn of_row(row: &Row, file: &str, settings: &Settings, handlers: &dyn Handlers) -> Vec<Problem> {
    let mut warnings = Vec::new();
    if let Target::Function { class, method } = row.target()
        && let Err(missing) = handlers.find(class, method)
    {
        // Where the class is there, its own name is no help.
        let nearest = handlers.nearest(class, method).filter(|name| **name != **class);
        let fix = match (nearest, missing) {
            (Some(name), _) => format!("did you mean {name:?}?"),
            (None, Missing::Class) => {
                let file = settings.classes_folder().join(format!("{class}.js"));
                format!("write {}, register the class, or correct the row", file.display())
            }
            (None, Missing::Singleton) => "let its file export a class as its default".to_owned(),
            (None, Missing::Method) => "add it to the class, or correct the row".to_owned(),
        };
        let what = format!("nothing answers {:?}: {}", row.name(), missing.text());
        warnings.push(row.warning(file, MISSING_FUNCTION, what, fix));
    }
    // The 303 that strips the token comes from abroad, so a browser does not send a Strict
    // cookie along when it follows it: the session that was just restored is lost again.
    if row.otp().strip && settings.same_site == SameSite::Strict {
        let what = "otp.strip loses the restored session under cookie.same_site \"Strict\"";
        let fix = "use \"Lax\", or leave strip out";
        warnings.push(row.warning(file, "strict-strip", what.to_owned(), fix.to_owned()));
    }
    warnings
}
