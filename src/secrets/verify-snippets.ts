/** Code that checks a signature, in one language. */
export interface Snippet {
  /** As people write it. */
  name: string
  /** As a file of the language ends; also how a snippet is called in code and documents. */
  extension: string
  code: string
}

/**
 * How receivers check a signature, with nothing but what their language brings along (Rust needs crates, which its
 * first line names). Each is one function of the secret, three headers and the body as received, and returns whether
 * one of the signatures is right; a stale timestamp is refused. `scripts/snippets.ts` runs those whose language is installed.
 */
export const SNIPPETS: readonly Snippet[] = [
  {
    name: 'Node.js',
    extension: 'mjs',
    code: `import { createHmac, timingSafeEqual } from 'node:crypto'

export function verify(secret, id, timestamp, signatures, body) {
  if (!(Math.abs(Date.now() / 1000 - Number(timestamp)) <= 300)) return false
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64')
  const digest = createHmac('sha256', key).update(id + '.' + timestamp + '.' + body).digest('base64')
  const expected = Buffer.from('v1,' + digest)
  return signatures.split(' ').map((text) => Buffer.from(text)).some((given) =>
    given.length === expected.length && timingSafeEqual(given, expected))
}
`,
  },
  {
    name: 'Python',
    extension: 'py',
    code: `import base64, hashlib, hmac, time

def verify(secret: str, id: str, timestamp: str, signatures: str, body: bytes) -> bool:
    if not timestamp.isdecimal() or abs(time.time() - int(timestamp)) > 300:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    expected = b"v1," + base64.b64encode(digest)
    return any(hmac.compare_digest(given.encode(), expected) for given in signatures.split())
`,
  },
  {
    name: 'Go',
    extension: 'go',
    code: `package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"
	"time"
)

func Verify(secret, id, timestamp, signatures string, body []byte) bool {
	sent, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || time.Since(time.Unix(sent, 0)).Abs() > 5*time.Minute {
		return false
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		return false
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + timestamp + "."))
	mac.Write(body)
	expected := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	for _, given := range strings.Fields(signatures) {
		if hmac.Equal([]byte(given), []byte(expected)) {
			return true
		}
	}
	return false
}
`,
  },
  {
    name: 'Ruby',
    extension: 'rb',
    code: String.raw`require 'openssl'

def verify(secret, id, timestamp, signatures, body)
  return false unless timestamp.match?(/\A\d+\z/) && (Time.now.to_i - timestamp.to_i).abs <= 300
  key = secret.delete_prefix('whsec_').unpack1('m')
  digest = OpenSSL::HMAC.digest('SHA256', key, id + '.' + timestamp + '.' + body)
  expected = 'v1,' + [digest].pack('m0')
  signatures.split.any? { |given| OpenSSL.secure_compare(given, expected) }
end
`,
  },
  {
    name: 'PHP',
    extension: 'php',
    code: `<?php

function verify(string $secret, string $id, string $timestamp, string $signatures, string $body): bool
{
    if (!ctype_digit($timestamp) || abs(time() - (int) $timestamp) > 300) {
        return false;
    }
    $key = base64_decode(preg_replace('/^whsec_/', '', $secret));
    $digest = hash_hmac('sha256', $id . '.' . $timestamp . '.' . $body, $key, true);
    $expected = 'v1,' . base64_encode($digest);
    foreach (explode(' ', $signatures) as $given) {
        if (hash_equals($expected, $given)) {
            return true;
        }
    }
    return false;
}
`,
  },
  {
    name: 'Java',
    extension: 'java',
    code: String.raw`import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.util.Base64;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

class Webhook {
    static boolean verify(String secret, String id, String timestamp, String signatures, byte[] body)
            throws GeneralSecurityException {
        if (!timestamp.matches("\\d{1,12}")) return false;
        if (Math.abs(System.currentTimeMillis() / 1000 - Long.parseLong(timestamp)) > 300) return false;
        byte[] key = Base64.getDecoder().decode(secret.replaceFirst("^whsec_", ""));
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(key, "HmacSHA256"));
        mac.update((id + "." + timestamp + ".").getBytes(StandardCharsets.UTF_8));
        byte[] expected = ("v1," + Base64.getEncoder().encodeToString(mac.doFinal(body))).getBytes();
        for (String given : signatures.split(" ")) {
            if (MessageDigest.isEqual(given.getBytes(), expected)) return true;
        }
        return false;
    }
}
`,
  },
  {
    name: 'C#',
    extension: 'cs',
    code: `using System;
using System.Linq;
using System.Security.Cryptography;
using System.Text;

public static class Webhook
{
    public static bool Verify(string secret, string id, string timestamp, string signatures, string body)
    {
        if (!long.TryParse(timestamp, out var sent)) return false;
        if (Math.Abs(DateTimeOffset.UtcNow.ToUnixTimeSeconds() - sent) > 300) return false;
        var key = Convert.FromBase64String(secret.Replace("whsec_", ""));
        using var mac = new HMACSHA256(key);
        var digest = mac.ComputeHash(Encoding.UTF8.GetBytes(id + "." + timestamp + "." + body));
        var expected = Encoding.UTF8.GetBytes("v1," + Convert.ToBase64String(digest));
        return signatures.Split(' ').Any(given =>
            CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(given), expected));
    }
}
`,
  },
  {
    name: 'Rust',
    extension: 'rs',
    code: `// cargo add base64@0.22 hmac@0.12 sha2@0.10
use base64::{engine::general_purpose::STANDARD, Engine};
use hmac::{Hmac, Mac};
use std::time::{SystemTime, UNIX_EPOCH};

pub fn verify(secret: &str, id: &str, timestamp: &str, signatures: &str, body: &[u8]) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let Ok(sent) = timestamp.parse::<u64>() else { return false };
    let Ok(key) = STANDARD.decode(secret.trim_start_matches("whsec_")) else { return false };
    if now.abs_diff(sent) > 300 {
        return false;
    }
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap();
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    signatures.split(' ').any(|given| {
        let given = given.strip_prefix("v1,").and_then(|text| STANDARD.decode(text).ok());
        given.is_some_and(|bytes| mac.clone().verify_slice(&bytes).is_ok())
    })
}
`,
  },
  {
    name: 'Elixir',
    extension: 'exs',
    code: `defmodule Webhook do
  def verify(secret, id, timestamp, signatures, body) do
    with {sent, ""} <- Integer.parse(timestamp),
         true <- abs(System.system_time(:second) - sent) <= 300 do
      key = secret |> String.replace_prefix("whsec_", "") |> Base.decode64!()
      digest = :crypto.mac(:hmac, :sha256, key, [id, ".", timestamp, ".", body])
      expected = "v1," <> Base.encode64(digest)
      signatures |> String.split() |> Enum.any?(&equal?(&1, expected))
    else
      _ -> false
    end
  end

  defp equal?(one, other) do
    byte_size(one) == byte_size(other) and :crypto.hash_equals(one, other)
  end
end
`,
  },
]
