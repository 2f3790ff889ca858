"""OCPP payloads that the block tests say often."""

from __future__ import annotations

from typing import Any


def event(
    seq: int, kind: str, *, tx: str = "T1", wh: float | None = None, tag: str | None = None, **more: Any
) -> dict[str, Any]:
    """A TransactionEvent of 2.0.1, one minute after the one before it."""
    at = f"2026-03-01T12:{seq:02}:00Z"
    context = {"Started": "Transaction.Begin", "Ended": "Transaction.End"}.get(kind, "Sample.Periodic")
    info: dict[str, Any] = {"transactionId": tx, **more.pop("info", {})}
    payload: dict[str, Any] = {
        "eventType": kind,
        "timestamp": at,
        "triggerReason": "Authorized" if kind == "Started" else "MeterValuePeriodic",
        "seqNo": seq,
        "transactionInfo": info,
        "evse": {"id": 1, "connectorId": 1},
        **more,
    }
    if kind == "Ended":
        info.setdefault("stoppedReason", "Local")
    if wh is not None:
        payload["meterValue"] = [{"timestamp": at, "sampledValue": [{"value": wh, "context": context}]}]
    if tag:
        payload["idToken"] = {"idToken": tag, "type": "ISO14443"}
    return payload


def start16(
    connector: int = 1, tag: str = "TAG", meter: int = 1000, at: str = "2026-03-01T12:00:00Z"
) -> dict[str, Any]:
    """A StartTransaction of 1.6."""
    return {"connectorId": connector, "idTag": tag, "meterStart": meter, "timestamp": at}


def stop16(transaction: int, meter: int = 6000, **more: Any) -> dict[str, Any]:
    """A StopTransaction of 1.6."""
    return {"transactionId": transaction, "meterStop": meter, "timestamp": "2026-03-01T12:30:00Z", **more}
