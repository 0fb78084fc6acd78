/**
 * What is said to customers who are refused, English to German: a part of `GERMAN`. Those with `{name}` are found by their
 * form, and what stands for a name is translated as well where it is among the texts.
 */
export const REFUSALS = {
  // Refusals
  'Nothing is lost. Try again in a moment.':
    'Nichts ist verloren. Versuchen Sie es gleich noch einmal.',
  'Not possible right now': 'Im Moment nicht möglich',
  'Only a form can be sent here.': 'Hierher lässt sich nur ein Formular senden.',
  'Page not found': 'Seite nicht gefunden',
  'Request rejected': 'Anfrage abgelehnt',
  'Something went wrong on our side': 'Bei uns ist etwas schiefgegangen',
  'The address holds a NUL character (%00).': 'Die Adresse enthält ein NUL-Zeichen (%00).',
  'The address is wrong, or the page no longer exists.':
    'Die Adresse stimmt nicht, oder die Seite gibt es nicht mehr.',
  'The database is not available': 'Die Datenbank ist nicht erreichbar',
  'The data of this event was erased.': 'Die Daten dieses Ereignisses wurden gelöscht.',
  'The error was logged.': 'Der Fehler wurde protokolliert.',
  'The form came from a page of another site.': 'Das Formular kam von einer Seite anderswo.',
  'The form cannot be read.': 'Das Formular lässt sich nicht lesen.',
  'This is not accepted: {reason}': 'Das wird nicht angenommen: {reason}',
  'This no longer exists': 'Das gibt es nicht mehr',
  'This needs the scope “{scope}”, which your key or link lacks.':
    'Das braucht das Recht „{scope}“, das Ihr Link nicht hat.',
  'Too many requests': 'Zu viele Anfragen',
  'You are not allowed to do this': 'Das dürfen Sie nicht',
  'the endpoint returned 410 Gone': 'der Endpunkt antwortete 410 Gone',
  'it failed since {time} without one success': 'er schlug seit {time} ohne einen Erfolg fehl',

  // What is wrong with a form
  'Another person has changed it to “{value}”. Save again to keep your value.':
    'Jemand anderes hat es auf „{value}“ geändert. Speichern Sie noch einmal, um Ihren Wert zu behalten.',
  'Invalid time.': 'Diese Zeit gibt es nicht.',
  'It contains a fragment, which is never sent.':
    'Das enthält ein Fragment, das nie gesendet wird.',
  'It contains credentials; use headers.': 'Das enthält Zugangsdaten; verwenden Sie Header.',
  'It has more than {max} characters.': 'Das hat mehr als {max} Zeichen.',
  'It has more than {max} items.': 'Das hat mehr als {max} Einträge.',
  'It is empty.': 'Das ist leer.',
  'It is given twice.': 'Das ist doppelt.',
  'It is less than {min}.': 'Das ist weniger als {min}.',
  'It is longer than {max} characters.': 'Das ist länger als {max} Zeichen.',
  'It is more than {max}.': 'Das ist mehr als {max}.',
  'It is neither *, a dotted name, nor one that ends in .*.':
    'Das ist weder *, ein Name mit Punkten noch einer, der auf .* endet.',
  'It is neither https nor http.': 'Das ist weder https noch http.',
  'It is not a URL.': 'Das ist keine URL.',
  'It is not a number.': 'Das ist keine Zahl.',
  'It is not a public address.': 'Das ist keine öffentliche Adresse.',
  'It is not a whole number.': 'Das ist keine ganze Zahl.',
  'It is not https, and nothing else is accepted here.':
    'Das ist kein https, und anderes wird hier nicht angenommen.',
  'It is required.': 'Das fehlt.',
  'Invalid cursor. Open the first page.': 'Ungültige Stelle der Liste. Öffnen Sie die erste Seite.',
  'Invalid time. Use a time such as 2026-01-31T09:30.': 'Das ist keine Zeit wie 2026-01-31T09:30.',
  'Invalid endpoint ID.': 'Das ist nicht die ID eines Endpunkts.',
  'Invalid event ID.': 'Das ist nicht die ID eines Ereignisses.',
  'This is too long.': 'Das ist zu lang.',
  'Unknown order.': 'Diese Reihenfolge gibt es nicht.',
  'Unknown outcome.': 'Dieses Ergebnis gibt es nicht.',
  'Unknown range.': 'Diesen Zeitraum gibt es nicht.',
  'Unknown reason.': 'Diesen Grund gibt es nicht.',
  'Unknown state.': 'Diesen Zustand gibt es nicht.',
  'Unknown status class.': 'Diese Statusklasse gibt es nicht.',
  'Write a type such as invoice.paid or invoice.*':
    'Schreiben Sie einen Typ wie invoice.paid oder invoice.*',
  // Of URLs, names and texts
  'It contains a backslash, which would be taken for a slash.':
    'Das enthält einen umgekehrten Schrägstrich, der als Schrägstrich gelesen würde.',
  'It contains a lone surrogate.': 'Das enthält ein halbes Zeichen.',
  'It contains a NUL character.': 'Das enthält ein NUL-Zeichen.',
  'It contains {code}, {name}.': 'Das enthält {code}, {name}.',
  'It contains {code}.': 'Das enthält {code}.',
  'It begins or ends with a blank.': 'Das beginnt oder endet mit einem Leerzeichen.',
  'It has a host with %, which can hide characters; write it as it is.':
    'Das hat einen Host mit %, hinter dem sich Zeichen verstecken lassen; schreiben Sie ihn aus.',
  'It has fewer than {min} characters.': 'Das hat weniger als {min} Zeichen.',
  'It has fewer than {min} items.': 'Das hat weniger als {min} Einträge.',
  'It is a name that JavaScript has taken; choose another.':
    'Diesen Namen hat JavaScript vergeben; wählen Sie einen anderen.',
  'It is not 1 to 128 letters, digits, dots, _ or -.':
    'Das sind nicht 1 bis 128 Buchstaben, Ziffern, Punkte, _ oder -.',
  'It is not a dotted name of at most 128 characters, such as invoice.paid.':
    'Das ist kein Name mit Punkten und höchstens 128 Zeichen, wie invoice.paid.',
  'It is not a string.': 'Das ist kein Text.',
  'It is not like https://host/path, with its host behind two slashes.':
    'Das ist nicht wie https://host/pfad, mit dem Host nach zwei Schrägstrichen.',
  'It is not more than {min}.': 'Das ist nicht mehr als {min}.',
  'It is not known here.': 'Das ist hier nicht bekannt.',
  'It is not one of {list}.': 'Das ist keins von {list}.',
  'a blank': 'ein Leerzeichen',
  'a byte order mark': 'eine Bytereihenfolge-Marke',
  'a left-to-right mark': 'ein Zeichen für links nach rechts',
  'a line break': 'ein Zeilenumbruch',
  'a lone surrogate': 'ein halbes Zeichen',
  'a narrow no-break space': 'ein schmales geschütztes Leerzeichen',
  'a no-break space': 'ein geschütztes Leerzeichen',
  'a right-to-left mark': 'ein Zeichen für rechts nach links',
  'a soft hyphen': 'ein weicher Trennstrich',
  'a tab': 'ein Tabulator',
  'a word joiner': 'ein Wortverbinder',
  'a zero width joiner': 'ein breitenloser Verbinder',
  'a zero width non-joiner': 'ein breitenloser Nichtverbinder',
  'a zero width space': 'ein breitenloses Leerzeichen',
  'which cannot be seen': 'das man nicht sieht',
  'which turns the direction of writing': 'das die Schreibrichtung umkehrt',

  // Of headers
  'It has a line without a colon: write a name, a colon and a value.':
    'Eine Zeile hat keinen Doppelpunkt: Schreiben Sie einen Namen, einen Doppelpunkt und einen Wert.',
  'It has a value that is not visible ASCII.': 'Der Wert ist kein sichtbares ASCII.',
  'It is not the name of a header.': 'Das ist kein Name eines Headers.',
  'It is secret; give its value to have it shown.':
    'Das ist geheim; geben Sie den Wert an, damit er gezeigt wird.',
  'It is set by Postrider.': 'Das setzt Postrider.',
  'It is the name of none of the headers.': 'So heißt keiner der Header.',
  'It is {mask}, which stands for a stored value, and none is stored.':
    'Das ist {mask} und steht für einen gespeicherten Wert, aber keiner ist gespeichert.',
  'They are longer than {max} characters together.': 'Zusammen sind sie länger als {max} Zeichen.',
  'They are more than {max}.': 'Das sind mehr als {max}.',
  'They have a name twice.': 'Ein Name kommt zweimal vor.',

  // Of shapes, batches and signatures of other schemes
  'It cannot be omitted without signature headers that sign.':
    'Ohne Signatur-Header, die signieren, kann sie nicht entfallen.',
  'It cannot be ed25519 while signatureHeaders sign: use hmac, or remove those first.':
    'Das kann kein ed25519-Schlüssel sein, solange Signatur-Header anderer Verfahren signieren: Nehmen Sie hmac, oder entfernen Sie diese zuerst.',
  'It cannot be signed with an ed25519 secret: use one of the kind hmac.':
    'Das lässt sich nicht mit einem ed25519-Schlüssel signieren: Nehmen Sie ein Geheimnis der Art hmac.',
  'It cannot be thin without PUBLIC_URL: its events have a link to the service.':
    'Ohne PUBLIC_URL geht diese Form nicht: Ihre Ereignisse haben einen Link zum Dienst.',
  'It does not say what is signed: add “ over {timestamp}.{body}” or the like.':
    'Es fehlt, was signiert wird: Ergänzen Sie etwas wie „ over {timestamp}.{body}“.',
  'It goes with the shape standard only, and without signatureHeaders.':
    'Das geht nur mit der Form standard und ohne Signatur-Header anderer Verfahren.',
  'It has a {brace} alone: write what is to be replaced as in {timestamp}.':
    'Darin steht {brace} allein: Schreiben Sie, was ersetzt werden soll, wie in {timestamp}.',
  'It has brackets other than one pair.': 'Das hat andere Klammern als ein Paar.',
  'It has brackets without an HMAC in them.': 'In den Klammern ist kein HMAC.',
  'It has {place}, which stands for nothing.': 'Das hat {place}, was für nichts steht.',
  'It has {place}, which stands for nothing: write {{type}}, {{id}}, {{timestamp}}, {{data}}, or a path of up to 10 steps like {{data.items[0].name}} or {{data."first name"}}.':
    'Das hat {place}, was für nichts steht: Schreiben Sie {{type}}, {{id}}, {{timestamp}}, {{data}} oder einen Pfad mit bis zu 10 Schritten wie {{data.items[0].name}} oder {{data."first name"}}.',
  'It has {{ without }} behind it; close it, as in {{data.amount}}.':
    'Das hat {{ ohne }} dahinter; schließen Sie es, wie in {{data.amount}}.',
  'It is not a path like $.customer.id, $.items[0] or $."first name", of up to 10 steps.':
    'Das ist kein Pfad wie $.customer.id, $.items[0] oder $."first name", mit bis zu 10 Schritten.',
  'It is not visible ASCII.': 'Das ist kein sichtbares ASCII.',
  'It is required with the shape fields.': 'Mit der Form fields muss das angegeben werden.',
  'It signs something without {body}.': 'Das signiert etwas ohne {body}.',
  'It signs something, and has no {hmac_hex} or {hmac_base64}.':
    'Das signiert etwas und hat weder {hmac_hex} noch {hmac_base64}.',

  // Of secrets
  'It has two halves behind whsk_ that do not belong together.':
    'Die beiden Hälften hinter whsk_ gehören nicht zusammen.',
  'It has {count} bytes behind whsk_; an ed25519 key has 32, or 64 with its public key.':
    'Das hat {count} Bytes hinter whsk_; ein ed25519-Schlüssel hat 32, oder 64 mit seinem öffentlichen Schlüssel.',
  'It is a public key (whpk_), which cannot sign.':
    'Das ist ein öffentlicher Schlüssel (whpk_), der nicht signieren kann.',
  'It is an ed25519 key (whsk_), whose encoding is base64.':
    'Das ist ein ed25519-Schlüssel (whsk_), der immer in base64 steht.',
  'It is longer than {max} bytes.': 'Das ist länger als {max} Bytes.',
  'It is not URL-safe base64 (A–Z, a–z, 0–9, - and _), or a character of it is wrong or missing.':
    'Das ist kein URL-sicheres base64 (A–Z, a–z, 0–9, - und _), oder ein Zeichen ist falsch oder fehlt.',
  'It is not base64 (A–Z, a–z, 0–9, + and /), or a character of it is wrong or missing.':
    'Das ist kein base64 (A–Z, a–z, 0–9, + und /), oder ein Zeichen ist falsch oder fehlt.',
  'It is not base64 of {min} to {max} bytes behind whsec_, but nearly; if it is as you were given it, say how to read it with its encoding: {list}.':
    'Das ist hinter whsec_ kein base64 von {min} bis {max} Bytes, aber beinahe; wenn Sie es so bekommen haben, geben Sie an, wie es zu lesen ist: {list}.',
  'It is not hex: an even number of the digits 0–9 and a–f.':
    'Das ist kein Hex: eine gerade Anzahl der Ziffern 0–9 und a–f.',
  'It signs with {count} byte, which can be guessed; {min} are the least, {advised} are advised.':
    'Das signiert mit {count} Byte, was sich erraten lässt; {min} sind das Mindeste, {advised} sind ratsam.',
  'It signs with {count} bytes, which can be guessed; {min} are the least, {advised} are advised.':
    'Das signiert mit {count} Bytes, was sich erraten lässt; {min} sind das Mindeste, {advised} sind ratsam.',
  'Standard Webhooks ask for {min} to {max} bytes, this key has {count}.':
    'Standard Webhooks verlangen {min} bis {max} Bytes, dieser Schlüssel hat {count}.',
  'The key is its UTF-8 bytes, beyond ASCII too; receivers that encode text otherwise cannot verify.':
    'Der Schlüssel besteht aus den UTF-8-Bytes, auch jenseits von ASCII; Empfänger, die Text anders kodieren, können nicht prüfen.',
  'The key is the text as it is, whsec_ included; libraries of Standard Webhooks decode base64 by default.':
    'Der Schlüssel ist der Text, wie er dasteht, samt whsec_; Bibliotheken von Standard Webhooks dekodieren sonst base64.',
  'Weak: {bits} bits at most, where {advised} are advised. Rotate it once the receiver can.':
    'Schwach: höchstens {bits} Bit, ratsam sind {advised}. Wechseln Sie es, sobald der Empfänger so weit ist.',
  'Weak: {bits} bits at most, where {advised} are advised. Rotate it once the receiver can. {more}':
    'Schwach: höchstens {bits} Bit, ratsam sind {advised}. Wechseln Sie es, sobald der Empfänger so weit ist. {more}',

  // Of filters
  'At character {place}: a filter has at most {max} comparisons.':
    'An Zeichen {place}: Ein Filter hat höchstens {max} Vergleiche.',
  'At character {place}: a filter has at most {max} steps like [*], [0] and .*.':
    'An Zeichen {place}: Ein Filter hat höchstens {max} Schritte wie [*], [0] und .*.',
  'At character {place}: a path has at most {max} steps.':
    'An Zeichen {place}: Ein Pfad hat höchstens {max} Schritte.',
  'At character {place}: expected {expected}, found {found}.':
    'An Zeichen {place}: Erwartet ist {expected}, da steht {found}.',
  'Postgres cannot read it.': 'Postgres kann das nicht lesen.',
  'The filters of this tenant have more than {max} steps and operators together.':
    'Ihre Filter haben zusammen mehr als {max} Schritte und Operatoren.',
  'The filters of this tenant have more than {max} steps into arrays together.':
    'Ihre Filter haben zusammen mehr als {max} Schritte in Listen.',
  '&&, || or )': '&&, || oder )',
  '&&, || or the end': '&&, || oder das Ende',
  '( after !': '( nach !',
  '* or a number': '* oder eine Zahl',
  'a key, "a key" or *': 'ein Schlüssel, "ein Schlüssel" oder *',
  'a literal (a number, "text", true, false or null)':
    'ein Wert (eine Zahl, "Text", true, false oder null)',
  'a path that begins with $': 'ein Pfad, der mit $ beginnt',
  'a path that begins with $, or a literal (a number, "text", true, false or null)':
    'ein Pfad, der mit $ beginnt, oder ein Wert (eine Zahl, "Text", true, false oder null)',
  'one of == != < <= > >=': 'eins von == != < <= > >=',
  'text without \\u0000 and without half a surrogate pair':
    'Text ohne \\u0000 und ohne halbes Zeichen',
  'the end': 'das Ende',

  // Titles of all codes
  'The body is not JSON.': 'Der Inhalt ist kein JSON.',
  'The body is nested too deeply.': 'Der Inhalt ist zu tief verschachtelt.',
  'The body is not UTF-8.': 'Der Inhalt ist kein UTF-8.',
  'The request cannot be read.': 'Die Anfrage lässt sich nicht lesen.',
  'A valid API key is required.': 'Dafür braucht es einen gültigen API-Schlüssel.',
  'The API key lacks a scope.': 'Dem API-Schlüssel fehlt ein Recht.',
  'A key of one tenant cannot do this.': 'Ein Schlüssel eines einzelnen Mandanten kann das nicht.',
  'The tenant is reserved.': 'Der Mandant ist dem Dienst vorbehalten.',
  'Nothing found at this path.': 'Unter diesem Pfad ist nichts.',
  'Tenant not found.': 'Den Mandanten gibt es nicht.',
  'API key not found.': 'Den API-Schlüssel gibt es nicht.',
  'Endpoint not found.': 'Den Endpunkt gibt es nicht.',
  'The endpoint has no client certificate.': 'Der Endpunkt hat kein Client-Zertifikat.',
  'Event not found.': 'Das Ereignis gibt es nicht.',
  'Delivery not found.': 'Die Zustellung gibt es nicht.',
  'Replay not found.': 'Die Wiederholung gibt es nicht.',
  'Incident not found.': 'Die Störung gibt es nicht.',
  'Nothing of the ordering key is waiting.': 'Von dem Ordnungsschlüssel wartet nichts.',
  'Event type not found.': 'Den Ereignistyp gibt es nicht.',
  'The method is not allowed at this path.': 'Die Methode ist unter diesem Pfad nicht erlaubt.',
  'The tenant is being deleted.': 'Der Mandant wird gerade gelöscht.',
  'The idempotency key is in use by another request.':
    'Eine andere Anfrage verwendet gerade denselben Idempotenzschlüssel.',
  'Another transaction is publishing with the ordering key.':
    'Eine andere Transaktion veröffentlicht gerade mit diesem Ordnungsschlüssel.',
  'An attempt is in progress.': 'Ein Versuch läuft gerade.',
  'PUBLIC_URL is not set.': 'PUBLIC_URL ist nicht gesetzt.',
  'The current state does not allow this.': 'Der gegenwärtige Zustand erlaubt das nicht.',
  'The tenant has too many endpoints.': 'Es gibt zu viele Endpunkte.',
  'Too many event types.': 'Es gibt zu viele Ereignistypen.',
  'Too many active secrets.': 'Es signieren zu viele Geheimnisse.',
  'No key opens the secret.': 'Kein Schlüssel öffnet das Geheimnis.',
  'The body is too large.': 'Der Inhalt ist zu groß.',
  'The content type is not supported.': 'Diese Art von Inhalt wird nicht angenommen.',
  'The request has invalid fields.': 'Die Anfrage hat ungültige Felder.',
  'Unknown event type.': 'Diesen Ereignistyp gibt es nicht.',
  'The data does not match the schema of its event type.':
    'Die Daten passen nicht zum Schema ihres Ereignistyps.',
  'No example matches the schema; add examples to it.': 'Kein Beispiel passt zum Schema.',
  'The list took too long.': 'Die Liste brauchte zu lange.',
  'The event was rejected.': 'Das Ereignis wurde abgelehnt.',
  'Too many running replays.': 'Es laufen zu viele Wiederholungen.',
  'The tenant has too many open streams.': 'Es sind zu viele Streams offen.',
  'Too many requests with this API key.': 'Zu viele Anfragen.',
  'Too many requests of this kind at once.': 'Zu viele Anfragen dieser Art zugleich.',
  'Too many wrong keys.': 'Zu viele falsche Schlüssel.',
  'Internal error.': 'Interner Fehler.',
  'The batch took too long.': 'Der Stapel brauchte zu lange.',
  'Too many open streams.': 'Es sind zu viele Streams offen.',
  'The database is not available.': 'Die Datenbank ist nicht erreichbar.',
  'The database is a copy.': 'Die Datenbank ist eine Kopie.',

  // Of what is asked for at the wrong time, or too often
  'A form has at most {most}.': 'Ein Formular hat höchstens {most}.',
  'A field holds a NUL character, which cannot be stored.':
    'Ein Feld enthält ein NUL-Zeichen, das sich nicht speichern lässt.',
  'A newer event of the ordering key of delivery {id} is sent instead.':
    'Statt der Zustellung {id} wird ein neueres Ereignis ihres Ordnungsschlüssels gesendet.',
  'A tenant has at most {max} endpoints; delete one first.':
    'Es gibt höchstens {max} Endpunkte; löschen Sie erst einen.',
  'At most {max} requests per second with one API key.':
    'Höchstens {max} Anfragen je Sekunde über einen Link.',
  'At most {max} requests per {window} seconds with one API key.':
    'Höchstens {max} Anfragen in {window} Sekunden über einen Link.',
  'At most {max} streams of one tenant per process.': 'Höchstens {max} offene Streams.',
  'Choose what to do with the key.': 'Wählen Sie, was mit dem Schlüssel geschehen soll.',
  'Delivery {id} is already {state}.': 'Die Zustellung {id} ist bereits {state}.',
  'Delivery {id} is in flight.': 'Die Zustellung {id} wird gerade gesendet.',
  'Delivery {id} waits for an earlier event of its ordering key.':
    'Die Zustellung {id} wartet auf ein früheres Ereignis ihres Ordnungsschlüssels.',
  'Endpoint {id} is disabled: {reason}.': 'Der Endpunkt {id} ist deaktiviert: {reason}.',
  'No key of this service opens the secret of the endpoint; rotate it if the key is lost.':
    'Kein Schlüssel dieses Dienstes öffnet das Geheimnis des Endpunkts; wechseln Sie es, wenn der Schlüssel verloren ist.',
  'No key of this service opens the secret or the client key of the endpoint.':
    'Kein Schlüssel dieses Dienstes öffnet das Geheimnis oder den Client-Schlüssel des Endpunkts.',
  'Endpoint {id} is paused.': 'Der Endpunkt {id} ist pausiert.',
  'No match was found within {seconds} s; narrow the time range with since and until.':
    'Binnen {seconds} s war nichts davon zu finden; grenzen Sie den Zeitraum ein.',
  'The data of event {id} is gone.': 'Die Daten des Ereignisses {id} gibt es nicht mehr.',
  'The tenant has {count} replays running, as many as are allowed; wait until one is done, or cancel one.':
    'Es laufen schon {count} Wiederholungen; warten Sie, bis eine fertig ist.',
  'This key or tenant has too many of these requests in progress.':
    'Es laufen schon so viele Anfragen dieser Art, wie erlaubt sind.',
  'Too many wrong keys; keys that worked within the last hour are still accepted.':
    'Zu viele Schlüssel waren falsch; einer, der in der letzten Stunde ging, geht noch.',
  'Try again; nothing is lost.': 'Versuchen Sie es noch einmal; nichts ist verloren.',
  '{count} secrets are active; wait for an overlap to end, or set it to 0.':
    'Schon {count} Geheimnisse signieren; warten Sie, bis die Frist eines alten endet.',
  '{who} has {count} replays running, as many as are allowed; wait until one is done, or cancel one.':
    'Für {who} laufen schon {count} Wiederholungen; warten Sie, bis eine fertig ist.',
  '{count} bytes': '{count} Bytes',
  '{count} fields': '{count} Felder',
} as const
