"""Authentication, authorization and rate limits.

authenticate      Authorization header -> Caller (partner, scopes, authority)
  tokens            access tokens (JWT); jwks: keys of an external issuer
  secrets           keys and secrets of credentials
scopes            what a caller may do
rate_limit        requests per credential
callback_tokens   callback URLs of LTI tools; oauth1: signatures of their requests
credentials       use cases: partners and credentials; tools: LTI tools; names: valid names
secret_box        encryption with the secret key
"""
