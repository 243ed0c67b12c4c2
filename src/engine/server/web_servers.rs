//! Programs that carry answers of others: a `Server` header that names one doesn't name what runs the model.

/// The libraries that serve a program's answers, and proxies before it. How their headers begin, in small letters.
const KNOWN: [&str; 25] = [
    "aiohttp",
    "apache",
    "basehttp",
    "caddy",
    "cheroot",
    "cloudflare",
    "daphne",
    "envoy",
    "google frontend",
    "granian",
    "gunicorn",
    "haproxy",
    "hypercorn",
    "istio-envoy",
    "kestrel",
    "microsoft-iis",
    "nginx",
    "openresty",
    "python",
    "simplehttp",
    "tornadoserver",
    "traefik",
    "uvicorn",
    "waitress",
    "werkzeug",
];

/// Whether a `Server` header is of one of them.
pub fn names_one(header: &str) -> bool {
    let header = header.trim().to_lowercase();
    KNOWN.iter().any(|known| header.strip_prefix(known).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_carries_answers_is_told_from_what_gives_them() {
        for header in [
            "uvicorn",
            "gunicorn/20.1.0",
            "hypercorn-h11",
            "nginx/1.25.3 (Ubuntu)",
            "Werkzeug/3.0.1 Python/3.12.3",
            "Python/3.12 aiohttp/3.9.1",
            "BaseHTTP/0.6 Python/3.12",
            "Apache/2.4.58",
            "TornadoServer/6.4",
        ] {
            assert!(names_one(header), "{header}");
        }
        for header in ["llama.cpp", "fake-server/1.2", "vllm", "pythonic-server", "nginxes-of-mine/1"] {
            assert!(!names_one(header), "{header}");
        }
    }
}
