"""Revenue as it is asked about, and as it is answered (section 1.12). Amounts are decimal texts in the project's currency."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, model_validator

from consentryd.analytics.calendar import Interval
from consentryd.analytics.condition import Matcher
from consentryd.analytics.question import Answered, Envelope, Question
from consentryd.analytics.shape import PropertyName, Shape
from consentryd.analytics.statistics.subscription import GRACE_DAYS
from consentryd.analytics.trends.model import Money

ANYTHING: Final = Matcher()
#: Buckets of a year, over which revenue retention is measured unless another number is given.
YEAR: Final[dict[str, int]] = {"day": 365, "week": 52, "month": 12, "quarter": 4, "year": 1}
MAX_MOVING_BUCKETS: Final = 1_000
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]


class LifetimePart(Shape):
    """What subjects bring by age, by the bucket of their first `start`."""

    start: Matcher | None = Field(None, description="What begins a life; default: the subject's first payment.")
    ages: int = Field(12, ge=1, le=60, description="So many buckets of age, the first one 0.")
    gross_margin: float = Field(1.0, gt=0, le=1, description="For the predicted value only.")


class RevenueQuery(Question):
    """Revenue by bucket and per head; with `recurring` also what recurs, with `lifetime` also what subjects bring by age."""

    kind: Literal["revenue"]
    payment: Matcher = Field(ANYTHING, description="What a payment or refund is; default: any event with an amount.")
    amount: PropertyName = Field("revenue", description="The number that is paid; refunds may be below 0.")
    currency: PropertyName = Field("currency", description="The property with the currency; without one it is the project's.")
    fixed_currency: Currency | None = Field(None, description="The currency of all amounts, in place of a property.")
    multiplier: Decimal = Field(Decimal(1), gt=0, le=1_000_000, max_digits=12, decimal_places=6, description="0.01 for cents.")
    refund: Matcher | None = Field(None, description="Events whose amount is paid back, whatever its sign.")
    refunds: Literal["cash", "accrual"] = Field(
        "cash", description="When refunds count: at their own time, or at their order's first sale."
    )
    order: PropertyName = Field("order_id", description="What a refund has in common with its order, within a subject.")
    activity: Matcher = Field(ANYTHING, description="What counts as being active; default: any event.")
    conversion: Matcher | None = Field(None, description="The last step of a funnel: revenue is also told by such events.")
    recurring: Matcher | None = Field(None, description="Charges of subscriptions; without it there is no recurring revenue.")
    period: PropertyName = Field("period", description="The property with a charge's period: day, week, month, quarter or year.")
    subscription: PropertyName = Field("subscription_id", description="The property that tells an account's subscriptions apart.")
    account: PropertyName | None = Field(
        None, description="The property that tells accounts apart; default: each subject is one."
    )
    ends: PropertyName | None = Field(None, description="The property with the instant up to which a charge is for.")
    grace_days: int = Field(GRACE_DAYS, ge=0, le=400, description="How long a charge without an end holds.")
    retention_buckets: int | None = Field(
        None, ge=1, le=400, description="Net and gross retention over so many buckets; default: a year."
    )
    cancellation: Matcher | None = Field(None, description="Events that tell why an account ceases to pay.")
    reason: PropertyName = Field("reason", description="Their property with the reason.")
    lifetime: LifetimePart | None = None
    interval: Interval = "month"

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.recurring is None and self.cancellation is not None:
            raise ValueError("`cancellation` is about `recurring` charges, which are missing")
        if self.interval in {"minute", "hour"} and (self.recurring is not None or self.lifetime is not None):
            raise ValueError("recurring revenue and lifetimes take intervals of a day or more")
        return self

    @property
    def lag(self) -> int:
        """Buckets over which retention is measured."""
        return self.retention_buckets or YEAR.get(self.interval, 1)


class RevenueBucket(Answered):
    """Per active subject (ARPU), per paying subject (ARPPU), per order (a payment above 0) and per conversion."""

    start: str
    revenue: Money | None
    active: int | None
    paying: int | None
    orders: int | None
    conversions: int | None
    per_active: Money | None
    per_paying: Money | None
    per_order: Money | None
    per_conversion: Money | None
    complete: bool


class LostBy(Answered):
    """Accounts that ceased to pay for a reason, and the monthly revenue that went with them; `reason` is null where none was given."""

    reason: str | None
    accounts: int | None
    mrr: Money | None


class RecurringBucket(Answered):
    """At the bucket's end. mrr = mrr of the bucket before + new + reactivation + expansion + contraction + churn, exactly.

    `accounts_by`: how many accounts moved so. Of the accounts that paid `retention_buckets` before: `net_retention` is what they pay now by
    what they paid then, `gross_retention` the same with no account above what it paid then.
    """

    start: str
    mrr: Money | None
    accounts: int | None
    new: Money | None
    reactivation: Money | None
    expansion: Money | None
    contraction: Money | None
    churn: Money | None
    accounts_by: dict[str, int | None]
    account_churn: float | None
    net_retention: float | None
    gross_retention: float | None
    lost: list[LostBy]
    complete: bool


class LifetimeCohort(Answered):
    """`values`: net revenue per member up to and including each age; null while the age is not over for all of them."""

    start: str
    size: int | None
    values: list[Money | None]


class PredictedLifetime(Answered):
    """A model, not a measurement: revenue per active subject and bucket x gross margin / the share of accounts lost a bucket."""

    value: Money | None
    revenue_per_active: Money | None
    gross_margin: float
    churn: float | None
    missing: str | None = Field(None, description="What it lacks, where the value is null.")


class Lifetime(Answered):
    """`curve`: over the cohorts whose age is over, revenue by members, at each age."""

    cohorts: list[LifetimeCohort]
    curve: list[Money | None]
    predicted: PredictedLifetime


class RevenueResult(Envelope):
    kind: Literal["revenue"] = "revenue"
    currency: str
    refunds: Literal["cash", "accrual"]
    buckets: list[RevenueBucket]
    total: RevenueBucket
    recurring: list[RecurringBucket]
    lifetime: Lifetime | None
    suppressed_cells: int = 0

    def rows(self) -> list[dict[str, Any]]:
        """By bucket; recurring revenue beside it where it was asked for."""
        found = [bucket.model_dump() for bucket in self.buckets]
        for row, bucket in zip(found, self.recurring, strict=False):
            row.update(bucket.model_dump(exclude={"start", "lost", "accounts_by", "complete"}))
        return found

    def sheets(self) -> dict[str, list[dict[str, Any]]]:
        """Revenue, what recurs and which accounts moved, why they were lost, the cohorts with a column for each age, and the prediction."""
        found = {"revenue": [bucket.model_dump() for bucket in self.buckets]}
        if self.recurring:
            found["recurring"] = [bucket.model_dump(exclude={"lost", "accounts_by"}) for bucket in self.recurring]
            found["accounts that moved"] = [{"start": bucket.start, **bucket.accounts_by} for bucket in self.recurring]
            found["accounts lost, by reason"] = [
                {"start": bucket.start, **each.model_dump()} for bucket in self.recurring for each in bucket.lost
            ]
        if self.lifetime is not None:
            cohorts = [(cohort.start, cohort.size, cohort.values) for cohort in self.lifetime.cohorts]
            found["lifetime value by age"] = [
                {"start": start, "size": size, **{str(age): value for age, value in enumerate(values)}}
                for start, size, values in [*cohorts, ("curve", None, self.lifetime.curve)]
            ]
            found["predicted lifetime value"] = [self.lifetime.predicted.model_dump()]
        return found
