"""When a scheduled message is due, by the clock on the agent's wall."""

from datetime import UTC, datetime, tzinfo

from cronsim import CronSim, CronSimError

from loci.errors import BadRequest
from loci.types.schedules import Once, Recurring

CRON_FIELDS = 5
"""A sixth field would mean seconds, which is no pace for messages."""


def next_due(schedule: Once | Recurring, after: datetime, zone: tzinfo) -> datetime | None:
    """The first time after this one, in UTC; None when there is none.

    An hour that a change of the clocks leaves out is made up for right after it, and one that comes twice counts once,
    except for what recurs every hour or minute. Raises BadRequest for an expression that means nothing.
    """
    match schedule:
        case Once(at=at):
            return at if at > after else None
        case Recurring(cron=cron):
            if len(cron.split()) != CRON_FIELDS:
                raise _unknown(cron)
            try:
                found = next(CronSim(cron, after.astimezone(zone)), None)
            except (CronSimError, ValueError, OverflowError) as error:
                raise _unknown(cron) from error
            return None if found is None else found.astimezone(UTC)


def _unknown(cron: str) -> BadRequest:
    return BadRequest(
        f"'{cron}' is no cron expression.",
        hint="Give minute, hour, day of month, month and day of week, such as '30 8 * * MON-FRI'.",
    )
