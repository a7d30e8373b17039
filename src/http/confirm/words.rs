//! The texts of the page, in every shipped language.

use crate::token::Question;

/// The texts of one language. `{app}` and `{user}` are filled in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Words {
    /// The language, for `lang` and `Content-Language` (RFC 5646).
    pub(super) tag: &'static str,
    click: QuestionWords,
    switch: QuestionWords,
    /// As `switch.text`, for a user without a name.
    switch_unnamed: &'static str,
    /// The link that changes nothing.
    pub(super) stay: &'static str,
    /// Replaces the note, after a form that did not count.
    pub(super) again: &'static str,
}

/// The texts of one question.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct QuestionWords {
    pub(super) title: &'static str,
    pub(super) text: &'static str,
    pub(super) note: &'static str,
    pub(super) button: &'static str,
}

/// The first language is the fallback.
const LANGUAGES: [Words; 5] = [
    Words {
        tag: "en",
        click: QuestionWords {
            title: "One more click",
            text: "This link leads to {app}. Press the button to open it.",
            note: "The link works once. The button keeps programs that only look at links, such as \
                   mail filters, from using it up.",
            button: "Continue",
        },
        switch: QuestionWords {
            title: "Switch to another session?",
            text: "You are signed in to {app} as {user}. This link opens another session.",
            note: "Continue only if you asked for this link yourself. If somebody sent it to you, \
                   what you do next would happen in that person’s session.",
            button: "Open the other session",
        },
        switch_unnamed: "You are signed in to {app}. This link opens another session.",
        stay: "Stay signed in as I am",
        again: "That did not work: the page stood for too long, or the browser keeps no \
                cookies. The link is still unused.",
    },
    Words {
        tag: "fr",
        click: QuestionWords {
            title: "Encore un clic",
            text: "Ce lien mène à {app}. Appuyez sur le bouton pour l’ouvrir.",
            note: "Le lien ne fonctionne qu’une fois. Le bouton évite qu’un programme qui ne fait \
                   que consulter les liens, comme un filtre de messagerie, ne l’utilise à votre \
                   place.",
            button: "Continuer",
        },
        switch: QuestionWords {
            title: "Changer de session ?",
            text: "Vous êtes connecté à {app} en tant que {user}. Ce lien ouvre une autre session.",
            note: "Ne continuez que si vous avez demandé ce lien vous-même. Si quelqu’un vous l’a \
                   envoyé, ce que vous ferez ensuite se passera dans la session de cette personne.",
            button: "Ouvrir l’autre session",
        },
        switch_unnamed: "Vous êtes connecté à {app}. Ce lien ouvre une autre session.",
        stay: "Rester dans ma session",
        again: "Cela n’a pas fonctionné : la page est restée ouverte trop longtemps, ou le \
                navigateur n’accepte pas les cookies. Le lien n’a pas encore servi.",
    },
    Words {
        tag: "de",
        click: QuestionWords {
            title: "Noch ein Klick",
            text: "Dieser Link führt zu {app}. Zum Öffnen bitte die Schaltfläche drücken.",
            note: "Der Link gilt nur einmal. Die Schaltfläche verhindert, dass Programme, die Links \
                   nur prüfen, etwa Mailfilter, ihn verbrauchen.",
            button: "Weiter",
        },
        switch: QuestionWords {
            title: "In eine andere Sitzung wechseln?",
            text: "Sie sind bei {app} als {user} angemeldet. Dieser Link öffnet eine andere \
                   Sitzung.",
            note: "Fahren Sie nur fort, wenn Sie diesen Link selbst angefordert haben. Hat ihn \
                   Ihnen jemand geschickt, geschieht alles Weitere in der Sitzung dieser Person.",
            button: "Andere Sitzung öffnen",
        },
        switch_unnamed: "Sie sind bei {app} angemeldet. Dieser Link öffnet eine andere Sitzung.",
        stay: "Angemeldet bleiben wie bisher",
        again: "Das hat nicht geklappt: Die Seite war zu lange offen, oder der Browser behält \
                keine Cookies. Der Link ist noch unbenutzt.",
    },
    Words {
        tag: "es",
        click: QuestionWords {
            title: "Un clic más",
            text: "Este enlace lleva a {app}. Pulse el botón para abrirlo.",
            note: "El enlace funciona una sola vez. El botón evita que lo gasten programas que solo \
                   revisan enlaces, como los filtros de correo.",
            button: "Continuar",
        },
        switch: QuestionWords {
            title: "¿Cambiar a otra sesión?",
            text: "Ha iniciado sesión en {app} como {user}. Este enlace abre otra sesión.",
            note: "Continúe solo si usted mismo ha pedido este enlace. Si alguien se lo ha enviado, \
                   lo que haga a continuación ocurrirá en la sesión de esa persona.",
            button: "Abrir la otra sesión",
        },
        switch_unnamed: "Ha iniciado sesión en {app}. Este enlace abre otra sesión.",
        stay: "Seguir en mi sesión",
        again: "No ha funcionado: la página estuvo abierta demasiado tiempo o el navegador no \
                guarda cookies. El enlace sigue sin usarse.",
    },
    Words {
        tag: "ja",
        click: QuestionWords {
            title: "もう一度クリックしてください",
            text: "このリンクは {app} につながっています。ボタンを押すと開きます。",
            note: "このリンクは一度しか使えません。メールフィルターなど、リンクを確認するだけの\
                   プログラムに使われてしまわないよう、ボタンを設けています。",
            button: "続ける",
        },
        switch: QuestionWords {
            title: "別のセッションに切り替えますか？",
            text: "{app} に {user} としてサインインしています。このリンクは別のセッションを開きます。",
            note: "ご自分で依頼したリンクの場合にだけ続けてください。他の人から送られたリンクの場合、\
                   この後の操作はその人のセッションで行われます。",
            button: "別のセッションを開く",
        },
        switch_unnamed: "{app} にサインインしています。このリンクは別のセッションを開きます。",
        stay: "今のセッションを続ける",
        again: "うまくいきませんでした。ページを長く開いたままだったか、ブラウザーがクッキーを保存していません。\
                リンクはまだ使われていません。",
    },
];

/// Maximum number of languages read from one request.
const RANGES_MAX: usize = 32;

impl Words {
    /// The shipped language that an `Accept-Language` prefers (RFC 9110 §12.5.4), or English
    /// without a match. A regional range such as `fr-CH` matches its language.
    pub(super) fn liked(accept: &str) -> &'static Self {
        let mut best: Option<(&'static Self, f32)> = None;
        for range in accept.split(',').take(RANGES_MAX) {
            let mut parts = range.split(';').map(str::trim);
            let language = parts.next().unwrap_or_default();
            let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(Some(1.0), weight);
            let (Some(words), Some(weight)) = (Self::find(language), weight) else { continue };
            if weight > best.map_or(0.0, |(_, best)| best) {
                best = Some((words, weight));
            }
        }
        best.map_or(Self::first(), |(words, _)| words)
    }

    /// The texts of a question.
    pub(super) fn asked(&self, question: Question) -> &QuestionWords {
        match question {
            Question::Click => &self.click,
            Question::Switch => &self.switch,
        }
    }

    /// The sentence with the question.
    pub(super) fn text(&self, question: Question, has_name: bool) -> &'static str {
        match question {
            Question::Switch if !has_name => self.switch_unnamed,
            question => self.asked(question).text,
        }
    }

    fn first() -> &'static Self {
        let [first, ..] = &LANGUAGES;
        first
    }

    fn find(range: &str) -> Option<&'static Self> {
        let language = range.split('-').next().unwrap_or_default();
        match language {
            "*" => Some(Self::first()),
            _ => LANGUAGES.iter().find(|words| words.tag.eq_ignore_ascii_case(language)),
        }
    }
}

/// A weight from 0 to 1; `None` for anything else.
fn weight(text: &str) -> Option<f32> {
    text.trim().parse().ok().filter(|weight| (0.0..=1.0).contains(weight))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_liked_language_that_is_shipped_is_spoken() {
        for (accept, tag) in [
            ("", "en"),
            ("de", "de"),
            ("fr-CH, fr;q=0.9, en;q=0.8, de;q=0.7, *;q=0.5", "fr"),
            ("nl, es;q=0.8, en;q=0.9", "en"),
            ("nl,JA-jp;q=0.3", "ja"),
            ("sv;q=1, *;q=0.1, es;q=0.2", "es"),
            ("de;q=0, es;q=0.001", "es"),
            ("de;q=0", "en"),
            ("de;q=x, fr;q=7, es; q=0.4", "es"),
            ("den, deutsch", "en"),
            (&("xx,".repeat(RANGES_MAX) + "de"), "en"),
        ] {
            assert_eq!(Words::liked(accept).tag, tag, "{accept:?}");
        }
    }

    #[test]
    fn every_text_names_what_it_is_about() {
        for words in &LANGUAGES {
            assert!(words.click.text.contains("{app}"), "{}", words.tag);
            for text in [words.switch.text, words.switch_unnamed] {
                assert!(text.contains("{app}"), "{}", words.tag);
            }
            assert!(words.switch.text.contains("{user}"), "{}", words.tag);
        }
    }
}
