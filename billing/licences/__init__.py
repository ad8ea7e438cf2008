"""Licences of Mattermost that include HPNS (E1): read, verified offline, judged, kept as proofs.

The file is base64 of JSON with an RSA signature behind it; nobody is asked, and no file is kept. Format and rules of
judging: Mattermost's server/channels/utils/license.go and server/public/model/license.go.
"""
