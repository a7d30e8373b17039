//! Tests that declarations nest: named tables and lists of tables, with a declaration of the
//! tests' own.

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::PathBuf;
    use std::time::Duration;

    use crate::base::setting::{Declared, Entry, Raw, Seconds, Shape, Tables, Values, settings};

    use crate::settings::AppName;
    use crate::settings::manual;
    use crate::settings::problem::Problem;
    use crate::settings::reading::file::File;

    settings! {
        /// Everything of this program.
        #[derive(Debug)]
        pub(crate) struct Everything {
            /// Whether it runs.
            on: bool = true;
            /// The identity providers.
            oidc: BTreeMap<String, Provider>;
            /// The mail that it sends.
            mail: Mail;
        }
    }

    settings! {
        /// One identity provider.
        #[derive(Debug)]
        pub(crate) struct Provider {
            /// What callgate is called there.
            client: AppName, unset "callgate";
            /// A file with its secret; unset: it has none.
            secret_file: Option<PathBuf>, unset "oidc.secret";
            /// Seconds that it may take.
            timeout as "timeout_secs": Duration as Seconds = 10, in 1..=60;
        }
    }

    settings! {
        /// The mail that it sends.
        #[derive(Debug)]
        pub(crate) struct Mail {
            /// Who may be the sender.
            from: Vec<Sender> as Tables<Sender>;
        }
    }

    settings! {
        /// One sender.
        #[derive(Debug)]
        pub(crate) struct Sender {
            /// Its address.
            address: AppName, unset "shop";
            /// Mails a minute.
            per_min: u32 = 60, in 1..=600;
        }
    }

    fn declaration() -> Vec<Entry> {
        let Shape::Section(entries) = Everything::shape() else { panic!("it is a struct") };
        entries
    }

    /// What a settings file amounts to, and every problem with it.
    fn read(text: &str) -> (Option<Everything>, Vec<String>) {
        let (declaration, mut raw) = (declaration(), Raw::default());
        let mut problems = File::of(&declaration, "callgate.toml", text).read(&mut raw);
        let mut values = Values::of(&raw);
        let everything = Everything::take(&mut values, "", None);
        let bad = values.into_problems().into_iter();
        problems.extend(bad.map(|(name, origin, bad)| Problem::of(&name, &origin, bad)));
        (everything, problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn named_tables_and_lists_of_tables_become_maps_and_vectors() {
        let (everything, problems) = read(
            "on = false\n\
             [oidc.google]\nclient = \"shop\"\ntimeout_secs = 3\n\
             [oidc.own]\nclient = \"other\"\nsecret_file = \"s\"\n\
             [[mail.from]]\naddress = \"one\"\n\
             [[mail.from]]\naddress = \"two\"\nper_min = 7\n",
        );
        assert_eq!(problems, Vec::<String>::new());
        let Everything { on, oidc, mail } = everything.unwrap();
        assert!(!on);
        let providers: Vec<_> = oidc
            .iter()
            .map(|(name, it)| {
                (name.as_str(), it.client.as_str(), &it.secret_file, it.timeout.as_secs())
            })
            .collect();
        let secret = Some(PathBuf::from("s"));
        assert_eq!(providers, [("google", "shop", &None, 3), ("own", "other", &secret, 10)]);
        let senders = mail.from.iter().map(|it| (it.address.as_str(), it.per_min));
        assert_eq!(senders.collect::<Vec<_>>(), [("one", 60), ("two", 7)]);
    }

    #[test]
    fn more_than_nine_tables_keep_their_order() {
        let names: Vec<String> = (0..12).map(|n| format!("s{n}")).collect();
        let tables = names.iter().map(|name| format!("[[mail.from]]\naddress = \"{name}\"\n"));
        let text = tables.collect::<Vec<_>>().concat();
        let senders = read(&text).0.unwrap().mail.from;
        let read: Vec<String> = senders.iter().map(|it| it.address.as_str().to_owned()).collect();
        assert_eq!(read, names);
    }

    #[test]
    fn without_any_table_there_are_none() {
        let (everything, problems) = read("");
        let everything = everything.unwrap();
        assert_eq!(problems, Vec::<String>::new());
        assert!(everything.on && everything.oidc.is_empty() && everything.mail.from.is_empty());
    }

    #[test]
    fn problems_in_tables_have_their_line_and_their_full_name() {
        let (everything, problems) = read(
            "[oidc.google]\nclient = \"a b\"\ntimeout_secs = 0\nclinet = 1\n\
             [oidc.\"a b\"]\n\
             [oidc.own]\n\
             [[mail.from]]\nper_min = \"x\"\n\
             [[mail.from]]\naddress = \"\"\n",
        );
        assert_eq!(
            problems,
            [
                "callgate.toml:3:16: error: oidc.google.timeout_secs is \"0\"; use a whole number from 1 to 60",
                "callgate.toml:4:1: error: unknown setting \"oidc.google.clinet\"; did you mean \"oidc.google.client\"",
                "callgate.toml:5:7: error: oidc holds a table that is called \"a b\"; use letters, digits, - and _",
                "callgate.toml:8:11: error: mail.from[1].per_min is a text; use a whole number from 1 to 600",
                "callgate.toml:2:10: error: oidc.google.client is \"a b\"; use 1 to 32 letters, digits, - and _",
                "callgate.toml:6:7: error: oidc.own.client is not set; set it",
                "callgate.toml:7:1: error: mail.from[1].address is not set; set it",
                "callgate.toml:10:11: error: mail.from[2].address is \"\"; use 1 to 32 letters, digits, - and _",
            ]
        );
        let Everything { oidc, mail, .. } = everything.unwrap();
        assert!(oidc.is_empty() && mail.from.is_empty(), "what is wrong is not used by halves");
    }

    #[test]
    fn a_value_in_the_place_of_tables_says_how_to_write_them() {
        let (_, problems) = read("oidc = 1\nmail.from = [1]\n");
        assert_eq!(
            problems,
            [
                "callgate.toml:1:8: error: oidc is not a table; write a section [oidc.NAME]",
                "callgate.toml:2:14: error: mail.from[1] is not a table; write a section [[mail.from]]",
            ]
        );
        let (_, problems) = read("[oidc]\ngoogle = 1\n[mail]\nfrom = 1\n");
        assert_eq!(
            problems,
            [
                "callgate.toml:2:10: error: oidc.google is not a table; write a section [oidc.google]",
                "callgate.toml:4:8: error: mail.from is not a table; write a section [[mail.from]]",
            ]
        );
    }

    #[test]
    fn the_default_file_shows_tables_as_comments() {
        let file = manual::text(&declaration());
        let start = "\n# Whether it runs.\non = true\n\n# The identity providers.\n#[oidc.NAME]\n\n\
                     # What callgate is called there.\n#client = \"callgate\"\n";
        assert!(file.starts_with(start), "{file}");
        let end = "\n# The mail that it sends.\n[mail]\n\n# Who may be the sender.\n#[[mail.from]]\n\n\
                   # Its address.\n#address = \"shop\"\n\n# Mails a minute.\n#per_min = 60\n";
        assert!(file.ends_with(end), "{file}");
        assert_eq!(read(&file).1, Vec::<String>::new());
    }
}
