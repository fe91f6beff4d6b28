"""The OpenID provider at which operators log in."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from lrs.settings.fields import expected, subject


@subject
class OperatorLoginSettings:
    """The OpenID provider at which operators log in."""

    oidc_issuer: Annotated[
        str,
        Meta(
            pattern="^(https?://.+)?$",
            extra_json_schema=expected("a URL such as https://login.example.com"),
            description=(
                "Issuer of the OpenID provider at which operators log in. Empty: passwords only."
            ),
        ),
    ] = ""
    oidc_client_id: Annotated[str, Meta(description="Client id at the OpenID provider.")] = ""
    oidc_client_secret: Annotated[
        str, Meta(description="Client secret at the OpenID provider.")
    ] = ""
    oidc_roles_claim: Annotated[
        str,
        Meta(
            description=(
                "Claim with the groups or roles of an operator; a dot leads into an object, as in "
                "`realm_access.roles`."
            )
        ),
    ] = "roles"
    oidc_roles: Annotated[
        str,
        Meta(
            description=(
                "Roles by value of the claim, comma-separated: `lrs-admins=owner`, or for one "
                "partner `acme-support=viewer:acme`."
            )
        ),
    ] = ""
