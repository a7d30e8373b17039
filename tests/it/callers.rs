//! Who is a browser, and so may be given a session cookie, and who is a program
//! (docs/CONTRACT.md §6.2).

use crate::support::house;

/// A client's name, whether it is a browser, and the header fields that it sends by itself.
type Client = (&'static str, bool, &'static [(&'static str, &'static str)]);

const CLIENTS: &[Client] = &[
    (
        "Chrome 140, HTTPS",
        true,
        &[
            (
                "user-agent",
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
            ),
            (
                "accept",
                "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8",
            ),
            ("accept-language", "en-GB,en;q=0.9"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        ],
    ),
    (
        "Chrome 140, plain HTTP",
        true,
        &[
            (
                "user-agent",
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
            ),
            ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
            ("accept-language", "en-GB,en;q=0.9"),
        ],
    ),
    (
        "Chrome 140, a script's fetch",
        true,
        &[
            ("user-agent", "Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0.0.0"),
            ("accept", "*/*"),
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-mode", "cors"),
            ("sec-fetch-dest", "empty"),
        ],
    ),
    (
        "Firefox 143",
        true,
        &[
            (
                "user-agent",
                "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0",
            ),
            ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
            ("accept-language", "de,en-US;q=0.7,en;q=0.3"),
        ],
    ),
    (
        "Safari 15, which knows no Sec-Fetch",
        true,
        &[
            (
                "user-agent",
                "Mozilla/5.0 (iPhone; CPU iPhone OS 15_8 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/15.6 Mobile/15E148 Safari/604.1",
            ),
            ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
            ("accept-language", "fr-FR,fr;q=0.9"),
        ],
    ),
    (
        "Safari 15 without a language",
        true,
        &[
            (
                "user-agent",
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/15.6 Safari/605.1.15",
            ),
            ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
        ],
    ),
    (
        "Internet Explorer 11",
        true,
        &[
            ("user-agent", "Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko"),
            ("accept", "text/html, application/xhtml+xml, image/jxr, */*"),
            ("accept-language", "de-DE"),
        ],
    ),
    (
        "Lynx",
        true,
        &[
            ("user-agent", "Lynx/2.9.0 libwww-FM/2.14"),
            ("accept", "text/html, text/plain, text/sgml, */*;q=0.01"),
            ("accept-language", "en"),
        ],
    ),
    // A mail filter with a real browser cannot be told from a person: `confirm` is for that.
    (
        "Googlebot",
        true,
        &[
            (
                "user-agent",
                "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            ),
            ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
        ],
    ),
    (
        "Java HttpURLConnection",
        false,
        &[
            ("user-agent", "Java/21.0.4"),
            ("accept", "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"),
        ],
    ),
    ("Java HttpURLConnection 24", false, &[("user-agent", "Java/24"), ("accept", "*/*")]),
    ("Java HttpClient", false, &[("user-agent", "Java-http-client/21.0.4")]),
    (
        "Apache HttpClient",
        false,
        &[
            ("user-agent", "Apache-HttpClient/5.3 (Java/21)"),
            ("accept-encoding", "gzip, x-gzip, deflate"),
        ],
    ),
    ("OkHttp", false, &[("user-agent", "okhttp/4.12.0"), ("accept-encoding", "gzip")]),
    ("sttp", false, &[("accept", "text/html, image/gif, image/jpeg, */*; q=0.2")]),
    ("PHP file_get_contents", false, &[]),
    ("PHP curl", false, &[("accept", "*/*")]),
    ("Guzzle", false, &[("user-agent", "GuzzleHttp/7")]),
    (
        "WordPress",
        false,
        &[("user-agent", "WordPress/6.8; https://shop.example"), ("accept", "*/*")],
    ),
    ("Go net/http", false, &[("user-agent", "Go-http-client/2.0"), ("accept-encoding", "gzip")]),
    (
        "Python requests",
        false,
        &[
            ("user-agent", "python-requests/2.32.3"),
            ("accept", "*/*"),
            ("accept-encoding", "gzip, deflate"),
        ],
    ),
    ("Python httpx", false, &[("user-agent", "python-httpx/0.27.0"), ("accept", "*/*")]),
    ("Python aiohttp", false, &[("user-agent", "Python/3.12 aiohttp/3.10.5"), ("accept", "*/*")]),
    ("Python urllib", false, &[("user-agent", "Python-urllib/3.12")]),
    (
        "Node fetch",
        false,
        &[
            ("user-agent", "node"),
            ("accept", "*/*"),
            ("accept-language", "*"),
            ("sec-fetch-mode", "cors"),
            ("accept-encoding", "gzip, deflate"),
        ],
    ),
    (
        "Deno fetch",
        false,
        &[("user-agent", "Deno/2.4.0"), ("accept", "*/*"), ("accept-language", "*")],
    ),
    ("Bun fetch", false, &[("user-agent", "Bun/1.2.0"), ("accept", "*/*")]),
    (
        "axios",
        false,
        &[("user-agent", "axios/1.7.7"), ("accept", "application/json, text/plain, */*")],
    ),
    (
        "got",
        false,
        &[("user-agent", "got (https://github.com/sindresorhus/got)"), ("accept-encoding", "gzip")],
    ),
    (".NET HttpClient", false, &[]),
    ("Ruby Net::HTTP", false, &[("user-agent", "Ruby"), ("accept", "*/*")]),
    ("Faraday", false, &[("user-agent", "Faraday v2.9.0"), ("accept", "*/*")]),
    ("Perl LWP", false, &[("user-agent", "libwww-perl/6.77")]),
    ("curl", false, &[("user-agent", "curl/8.9.1"), ("accept", "*/*")]),
    ("curl that asks for HTML", false, &[("user-agent", "curl/8.9.1"), ("accept", "text/html")]),
    (
        "Wget",
        false,
        &[("user-agent", "Wget/1.24.5"), ("accept", "*/*"), ("accept-encoding", "identity")],
    ),
    ("reqwest", false, &[("accept", "*/*")]),
    ("Postman", false, &[("user-agent", "PostmanRuntime/7.41.2"), ("accept", "*/*")]),
    (
        "Stripe",
        false,
        &[
            ("user-agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)"),
            ("accept", "*/*; q=0.5, application/xml"),
        ],
    ),
    ("PayPal IPN", false, &[("user-agent", "PayPal IPN ( https://www.paypal.com/ipn )")]),
    ("PayPal webhooks", false, &[("user-agent", "PayPal/AUHD-214.0-58088490"), ("accept", "*/*")]),
    ("Adyen", false, &[("user-agent", "Adyen HttpClient 1.0"), ("accept", "text/plain")]),
    ("Mollie", false, &[("user-agent", "Mollie HTTP client/1.0"), ("accept", "*/*")]),
    ("GitHub", false, &[("user-agent", "GitHub-Hookshot/044aadd"), ("accept", "*/*")]),
    (
        "Slack",
        false,
        &[
            ("user-agent", "Slackbot 1.0 (+https://api.slack.com/robots)"),
            ("accept", "application/json,*/*"),
        ],
    ),
    ("a browser's name, but no HTML", false, &[("user-agent", "Mozilla/5.0"), ("accept", "*/*")]),
    (
        "HTML refused",
        false,
        &[("user-agent", "Mozilla/5.0"), ("accept-language", "en"), ("accept", "text/html;q=0")],
    ),
    (
        "HTML refused in other words",
        false,
        &[
            ("user-agent", "Mozilla/5.0"),
            ("accept", "application/json, text/html ; level=1; Q=0.000, */*"),
        ],
    ),
    (
        "HTML in a quoted text",
        false,
        &[("user-agent", "Mozilla/5.0"), ("accept", "a/b;x=\",text/html,\"")],
    ),
];

#[tokio::test]
async fn browsers_join_a_session_and_programs_are_given_no_cookie() {
    let house = house().await;
    for (name, is_browser, fields) in CLIENTS {
        let desk = house.visitor();
        let token = desk.mint("").await;
        let caller = house.visitor();
        let target = crate::support::visitor::with_token("/whoami", &token);
        let ask =
            fields.iter().fold(caller.get(&target), |ask, (name, value)| ask.header(name, value));
        let answer = ask.send().await;
        assert_eq!(crate::support::outcome(&answer), "restored", "{name}");
        assert_eq!(answer.headers.contains_key("set-cookie"), *is_browser, "{name}");
    }
}
