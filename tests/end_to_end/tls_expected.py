"""What a scan of the server's TLS has to show: the list of docs/security.md, for our own probes and for sslyze."""

from __future__ import annotations

TLS_1_3 = frozenset({"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"})
FORWARD_SECRET = frozenset(
    {
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    }
)
TLS_1_2 = {
    "ocpp": FORWARD_SECRET | {"TLS_RSA_WITH_AES_128_GCM_SHA256", "TLS_RSA_WITH_AES_256_GCM_SHA384"},
    "modern": FORWARD_SECRET
    | {"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"},
}
"""By ``[tls] ciphers``."""
REFUSED = ("ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1")
"""Versions with no suite at all, in sslyze's words."""
