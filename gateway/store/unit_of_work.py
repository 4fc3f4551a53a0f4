"""All nouns over one transaction: what a story gets to work with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.store.alarms import SqlAlarmRows
from gateway.store.audits import SqlAuditRows
from gateway.store.calls import SqlCallRows
from gateway.store.events import SqlEventRows
from gateway.store.forward_attempts import SqlForwardAttemptRows
from gateway.store.inventory import SqlInventoryRows
from gateway.store.people import SqlPeopleRows
from gateway.store.recordings import SqlRecordingRows

if TYPE_CHECKING:
    from gateway.ports import (
        AlarmRows,
        AuditRows,
        CallRows,
        EventRows,
        ForwardAttemptRows,
        InventoryRows,
        PeopleRows,
        RecordingRows,
    )
    from gateway.store.statements import Transaction


class SqlUnitOfWork:
    """`ports.UnitOfWork` on SQLAlchemy."""

    def __init__(self, transaction: Transaction) -> None:
        self.inventory: InventoryRows = SqlInventoryRows(transaction)
        self.events: EventRows = SqlEventRows(transaction)
        self.calls: CallRows = SqlCallRows(transaction)
        self.recordings: RecordingRows = SqlRecordingRows(transaction)
        self.forward_attempts: ForwardAttemptRows = SqlForwardAttemptRows(transaction)
        self.alarms: AlarmRows = SqlAlarmRows(transaction)
        self.people: PeopleRows = SqlPeopleRows(transaction)
        self.audits: AuditRows = SqlAuditRows(transaction)
