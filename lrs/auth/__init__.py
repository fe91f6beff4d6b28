"""Authentication, authorization, and the use cases of credentials and tools.

Requests:

    authenticate      Authorization header -> Caller (partner, scopes, authority)
      tokens            access tokens (JWT)
        token_claims      verification of a token and of the shapes of its claims
        signing_keys      keys of this server: load, rotation, retirement
        jwks              keys of an external issuer
      credential_secrets  keys and secrets of credentials
    scopes            what a caller may do
    callback_tokens   callback URLs of LTI tools
      opaque_tokens     the form of their tokens
      oauth1            signatures of requests to them

Use cases: `credentials` for partners and credentials, `tools` for LTI tools; both use `name_rules`.
`secret_box` encrypts with the secret key; `rekey` replaces it.
"""
