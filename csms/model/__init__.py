"""The words of the house: frozen dataclasses in OCPP 2.x terms, one file per functional block, without behaviour.

Nothing here knows a wire format, a socket or a database. Times are aware UTC datetimes, energy is Wh, money is Decimal.
"""
