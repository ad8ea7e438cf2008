// A second reader of licence files, for the tests: Go's own base64, RSA and encoding/json, the structs and the rules of
// Mattermost's server/public/model/license.go. Reads a JSON list of files (base64 each, once more) and an issuer's key
// (PEM, the first argument's file); prints a JSON list of what each says, or {"error": ...}.
package main

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
)

type customer struct {
	Company string `json:"company"`
}

type features struct {
	Users          *int  `json:"users"`
	Mhpns          *bool `json:"mhpns"`
	Cloud          *bool `json:"cloud"`
	FutureFeatures *bool `json:"future_features"`
}

type limits struct {
	PushNotifications int64 `json:"push_notifications"`
}

type license struct {
	ID           string    `json:"id"`
	IssuedAt     int64     `json:"issued_at"`
	StartsAt     int64     `json:"starts_at"`
	ExpiresAt    int64     `json:"expires_at"`
	Customer     *customer `json:"customer"`
	Features     *features `json:"features"`
	SkuName      string    `json:"sku_name"`
	SkuShortName string    `json:"sku_short_name"`
	IsTrial      bool      `json:"is_trial"`
	Limits       *limits   `json:"limits"`
}

func read(file []byte, key *rsa.PublicKey) (map[string]any, error) {
	decoded, err := base64.StdEncoding.DecodeString(string(file))
	if err != nil {
		return nil, err
	}
	if len(decoded) <= 256 {
		return nil, errors.New("too short")
	}
	body, signature := decoded[:len(decoded)-256], decoded[len(decoded)-256:]
	digest := sha512.Sum512(body)
	if err := rsa.VerifyPKCS1v15(key, crypto.SHA512, digest[:], signature); err != nil {
		return nil, err
	}
	var found license
	if err := json.Unmarshal(body, &found); err != nil {
		return nil, err
	}
	if found.Features == nil {
		found.Features = &features{}
	}
	yes, no, none := true, false, 0
	f := found.Features
	if f.FutureFeatures == nil {
		f.FutureFeatures = &yes
	}
	if f.Mhpns == nil {
		f.Mhpns = f.FutureFeatures
	}
	if f.Cloud == nil {
		f.Cloud = &no
	}
	if f.Users == nil {
		f.Users = &none
	}
	said := map[string]any{
		"id": found.ID, "issued_at": found.IssuedAt, "starts_at": found.StartsAt, "expires_at": found.ExpiresAt,
		"sku": found.SkuShortName, "sku_name": found.SkuName, "is_trial": found.IsTrial,
		"mhpns": *f.Mhpns, "cloud": *f.Cloud, "users": *f.Users, "company": "", "push_limit": 0,
	}
	if found.Customer != nil {
		said["company"] = found.Customer.Company
	}
	if found.Limits != nil {
		said["push_limit"] = found.Limits.PushNotifications
	}
	return said, nil
}

func main() {
	pemBytes, err := os.ReadFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	block, _ := pem.Decode(pemBytes)
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		panic(err)
	}
	var files [][]byte
	if err := json.NewDecoder(os.Stdin).Decode(&files); err != nil {
		panic(err)
	}
	results := []map[string]any{}
	for _, file := range files {
		said, err := read(file, parsed.(*rsa.PublicKey))
		if err != nil {
			said = map[string]any{"error": err.Error()}
		}
		results = append(results, said)
	}
	if err := json.NewEncoder(os.Stdout).Encode(results); err != nil {
		panic(err)
	}
}
