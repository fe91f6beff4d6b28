"""The services of one worker, which handlers use; `lrs.app` assembles them."""

from __future__ import annotations

from dataclasses import dataclass

from lrs.admin.masking import Masking
from lrs.admin.pipe_check import PipeChecks
from lrs.api.downloads import Downloads
from lrs.api.readiness import Readiness
from lrs.auth.authenticate import Authenticator
from lrs.auth.callback_tokens import CallbackTokens
from lrs.auth.oidc import OIDCClient
from lrs.auth.operators import Operators
from lrs.auth.secret_box import SecretBox
from lrs.auth.tokens import AccessTokens
from lrs.ingest.canvas_report import CanvasReports
from lrs.ingest.pipeline import IngestPipeline
from lrs.ledger.worker import Ledger
from lrs.limits.services import LimitServices
from lrs.observability.exposition import Exposition
from lrs.pacing import Pacing
from lrs.projection.partner_lock import PartnerLock
from lrs.projection.vocabulary import Vocabulary
from lrs.reports.exports import Exports
from lrs.settings import Settings
from lrs.store.postgres import Database
from lrs.store.statements.lookup import StatementLoader
from lrs.store.statements.page_loader import PageLoader
from lrs.store.statements.watermark import WatermarkReader
from lrs.threads import FairThread


@dataclass(frozen=True, slots=True)
class Services:
    settings: Settings
    database: Database
    tokens: AccessTokens
    authenticator: Authenticator
    limits: LimitServices
    ledger: Ledger
    watermark_reader: WatermarkReader
    statement_loader: StatementLoader
    page_loader: PageLoader
    pipeline: IngestPipeline
    secret_box: SecretBox
    callback_tokens: CallbackTokens
    canvas_reports: CanvasReports
    exports: Exports
    downloads: Downloads
    partner_lock: PartnerLock
    exposition: Exposition
    readiness: Readiness
    thread: FairThread
    pacing: Pacing
    admin_database: Database
    operators: Operators
    vocabulary: Vocabulary
    masking: Masking
    pipe_checks: PipeChecks
    oidc: OIDCClient | None
