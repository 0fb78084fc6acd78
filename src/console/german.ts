import { REFUSALS } from './german-refusals.ts'

/**
 * What customers read, English to German, in one place. A text that is not here cannot be said (`say`), so that none
 * is left without its translation; `{name}` stands for a value and has to be in both.
 */
export const GERMAN = {
  // The frame of every page
  'API docs': 'API-Dokumentation',
  'As the system': 'Wie das System',
  'Back to the app': 'Zurück zur App',
  Close: 'Schließen',
  'Close a panel or dialog': 'Bereich oder Dialog schließen',
  'Compact rows': 'Enge Zeilen',
  Dark: 'Dunkel',
  Deliveries: 'Zustellungen',
  Density: 'Zeilenabstand',
  Display: 'Anzeige',
  Endpoints: 'Endpunkte',
  'Event types': 'Ereignistypen',
  Events: 'Ereignisse',
  'Exact (13:12:18)': 'Genau (13:12:18)',
  Keyboard: 'Tastatur',
  Light: 'Hell',
  Live: 'Live',
  'Local time': 'Ortszeit',
  'Main pages': 'Wichtige Seiten',
  More: 'Mehr',
  'Next or previous row': 'Nächste oder vorige Zeile',
  'Open the row': 'Zeile öffnen',
  Overview: 'Übersicht',
  Pages: 'Seiten',
  'Relative (2 min ago)': 'Relativ (vor 2 min)',
  'Roomy rows': 'Weite Zeilen',
  Search: 'Suchen',
  'Show these keys': 'Diese Tasten zeigen',
  'Sign out': 'Abmelden',
  'Skip to content': 'Zum Inhalt springen',
  Theme: 'Farbschema',
  'This link ends': 'Dieser Link endet',
  'Time zone': 'Zeitzone',
  'Times in tables': 'Zeiten in Tabellen',
  UTC: 'UTC',
  Webhooks: 'Webhooks',

  // A link that is closed
  'Go back to where you found it and open it again. If it does not stay open there, your browser probably blocks cookies for this address.':
    'Gehen Sie dorthin zurück, wo Sie ihn gefunden haben, und öffnen Sie ihn erneut. Bleibt die Seite auch dann nicht offen, blockiert Ihr Browser wahrscheinlich Cookies für diese Adresse.',
  'It opens with a link, for a limited time. The link has expired or was revoked, or you have signed out.':
    'Sie öffnet sich mit einem Link und nur für begrenzte Zeit. Der Link ist abgelaufen oder wurde widerrufen, oder Sie haben sich abgemeldet.',
  'This page is closed': 'Diese Seite ist geschlossen',

  // Parts of pages: lists, forms, copying, charts
  All: 'Alle',
  Any: 'Alle',
  Apply: 'Anwenden',
  'Apply filters': 'Filter anwenden',
  Clear: 'Leeren',
  Columns: 'Spalten',
  'Copy as cURL': 'Als cURL kopieren',
  'Copy {what}': '{what} kopieren',
  Data: 'Daten',
  Description: 'Beschreibung',
  Filter: 'Filter',
  Filters: 'Filter',
  'Go back': 'Zurück',
  'Keeps the filters, the order and the columns in this browser.':
    'Behält Filter, Reihenfolge und Spalten in diesem Browser.',
  Newer: 'Neuere',
  Newest: 'Neueste',
  Nothing: 'Nichts',
  'Nothing was found for {id}. It was deleted, or its retention has ended.':
    'Zu {id} wurde nichts gefunden. Es wurde gelöscht, oder seine Aufbewahrungszeit ist abgelaufen.',
  'Nothing so far.': 'Bisher nichts.',
  Older: 'Ältere',
  Oldest: 'Älteste',
  'Save view': 'Ansicht speichern',
  'Search newer': 'Neuere durchsuchen',
  'First page': 'Erste Seite',
  Occurred: 'Geschehen',
  'With a failed delivery': 'Mit fehlgeschlagener Zustellung',
  'With an open delivery': 'Mit offener Zustellung',
  'Next page': 'Nächste Seite',
  'Search further': 'Weiter suchen',
  'Searched the first rows only.': 'Nur die ersten Zeilen wurden durchsucht.',
  'Search older': 'Ältere durchsuchen',
  'Searched the latest rows only.': 'Nur die neuesten Zeilen wurden durchsucht.',
  'Send again': 'Erneut senden',
  'Searched the oldest rows only.': 'Nur die ältesten Zeilen wurden durchsucht.',
  State: 'Zustand',
  'This is the beginning only; {link}.': 'Dies ist nur der Anfang; {link}.',
  Time: 'Zeit',
  Views: 'Ansichten',
  'Widen the filters, or {link}.': 'Lockern Sie die Filter, oder {link}.',
  'any data': 'beliebige Daten',
  'drag to choose a range': 'ziehen, um einen Zeitraum zu wählen',
  no: 'nein',
  none: 'keine',
  'since {time}': 'seit {time}',
  'the command': 'Befehl',
  'the whole is a file': 'das Ganze ist eine Datei',
  yes: 'ja',
  '{title}, table': '{title}, Tabelle',

  // Said by the scripts of pages
  'Connecting again …': 'Verbindung wird erneut aufgebaut …',
  'Connecting …': 'Verbindung wird aufgebaut …',
  Copied: 'Kopiert',
  'Delete view {label}': 'Ansicht {label} löschen',
  Details: 'Einzelheiten',
  Continue: 'Weiter',
  '{count} in the last minute': '{count} in der letzten Minute',
  'Last attempt just now': 'Letzter Versuch gerade eben',
  'Last attempt {span} ago': 'Letzter Versuch vor {span}',
  'Live. Some attempts were missed: see the list of deliveries':
    'Live. Einige Versuche fehlen hier: siehe die Liste der Zustellungen',
  'Open full page': 'Ganze Seite öffnen',
  'Open incidents: {count}': 'Offene Störungen: {count}',
  'Opened beside the list': 'Neben der Liste geöffnet',
  Pause: 'Anhalten',
  'Paused. {text}': 'Angehalten. {text}',
  'Paused; {count} waiting': 'Angehalten; {count} warten',
  'Paused; {count} waiting, {dropped} more only in the list of deliveries':
    'Angehalten; {count} warten, und {dropped} stehen nur in der Liste der Zustellungen',
  Resume: 'Fortsetzen',
  'The browser did not allow copying': 'Der Browser hat das Kopieren nicht erlaubt',
  'Updated just now': 'Gerade aktualisiert',
  'Updated {span} ago': 'Vor {span} aktualisiert',
  'View {label} saved': 'Ansicht {label} gespeichert',
  all: 'alle',
  'in {span}': 'in {span}',
  'just now': 'gerade eben',
  now: 'jetzt',
  '{span} ago': 'vor {span}',

  // States and outcomes
  Abandoned: 'Abgebrochen',
  Active: 'Aktiv',
  'Any outcome': 'Jeder Ausgang',
  'Any state': 'Jeder Zustand',
  'Backing off': 'Wartet ab',
  Blocked: 'Blockiert',
  Cancelled: 'Storniert',
  Collapsed: 'Zusammengefasst',
  Delivered: 'Zugestellt',
  Disabled: 'Deaktiviert',
  Done: 'Fertig',
  Failed: 'Fehlgeschlagen',
  Failing: 'Fehlerhaft',
  Interrupted: 'Unterbrochen',
  Moving: 'Läuft',
  'Not sent': 'Nicht gesendet',
  'Not used yet': 'Noch nicht benutzt',
  'On hold': 'Zurückgehalten',
  Paused: 'Pausiert',
  Pending: 'Ausstehend',
  Rejected: 'Abgelehnt',
  Running: 'Läuft',
  'Secret unreadable': 'Geheimnis nicht lesbar',
  Sending: 'Wird gesendet',
  Stale: 'Überholt',
  Started: 'Begonnen',
  Unreachable: 'Nicht erreichbar',
  Working: 'Funktioniert',
  Deprecated: 'Veraltet',
  disabled: 'deaktiviert',
  'in order': 'der Reihe nach',
  paused: 'pausiert',
  'secret unreadable': 'Geheimnis nicht lesbar',
  suspended: 'gesperrt',

  // Overview
  'All endpoints': 'Alle Endpunkte',
  'Enable it once the receiver is back': 'Aktivieren Sie ihn, sobald der Empfänger wieder läuft',
  Health: 'Befinden',
  'In progress': 'Läuft',
  'Last response': 'Letzte Antwort',
  'Next attempt {time}': 'Nächster Versuch {time}',
  'No endpoint is failing.': 'Kein Endpunkt ist fehlerhaft.',
  'Nothing was sent yet': 'Noch nichts gesendet',
  'Resume it to send what is on hold': 'Setzen Sie ihn fort, um das Zurückgehaltene zu senden',
  'Contact the operator of the service.': 'Wenden Sie sich an den Betreiber des Dienstes.',
  'Then recover what it has missed': 'Danach das Verpasste nachholen',
  'Send a test event. If it succeeds, the delivery on hold is sent.':
    'Senden Sie ein Testereignis. Wenn es gelingt, wird die zurückgehaltene Zustellung gesendet.',
  'Send a test event. If it succeeds, the {count} deliveries on hold are sent.':
    'Senden Sie ein Testereignis. Wenn es gelingt, werden die {count} zurückgehaltenen Zustellungen gesendet.',
  'This endpoint has been failing since {time}.': 'Dieser Endpunkt ist fehlerhaft seit {time}.',
  'What to do': 'Was zu tun ist',
  '1 delivery on hold': '1 Zustellung zurückgehalten',
  '{count} deliveries on hold': '{count} Zustellungen zurückgehalten',
  'Your endpoint is failing.': 'Ihr Endpunkt ist fehlerhaft.',
  'Failing: {failing} of {count} endpoints.': 'Fehlerhaft: {failing} von {count} Endpunkten.',

  // Endpoints
  'Add an endpoint': 'Legen Sie einen Endpunkt an',
  'Add the signing secret to your app, which verifies every request with it.':
    'Hinterlegen Sie das Signaturgeheimnis in Ihrer App, die damit jede Anfrage prüft.',
  'An endpoint is a URL of your app that receives events.':
    'Ein Endpunkt ist eine URL Ihrer App, die Ereignisse empfängt.',
  Back: 'Zurück',
  'But {error}.': 'Aber: {error}.',
  'Cancel held deliveries instead of sending them':
    'Zurückgehaltene Zustellungen stornieren, statt sie zu senden',
  Changed: 'Geändert',
  Circuit: 'Schutzschalter',
  'Create endpoint': 'Endpunkt anlegen',
  Created: 'Angelegt',
  Delete: 'Löschen',
  'Delete endpoint': 'Endpunkt löschen',
  'Deliveries are held until you resume the endpoint.':
    'Zustellungen werden zurückgehalten, bis Sie den Endpunkt fortsetzen.',
  'Disabled because': 'Deaktiviert, weil',
  Edit: 'Bearbeiten',
  'Edit endpoint': 'Endpunkt bearbeiten',
  'Edit {url}': '{url} bearbeiten',
  Enable: 'Aktivieren',
  'Enable endpoint': 'Endpunkt aktivieren',
  Endpoint: 'Endpunkt',
  'Endpoint created. Copy the signing secret into your receiver.':
    'Endpunkt angelegt. Übernehmen Sie das Signaturgeheimnis in Ihren Empfänger.',
  'Endpoint created. Show its secret: there is a warning about it.':
    'Endpunkt angelegt. Zeigen Sie sein Geheimnis an: Es gibt eine Warnung dazu.',
  'Endpoint enabled.': 'Endpunkt aktiviert.',
  'Endpoint paused. New deliveries are held.':
    'Endpunkt pausiert. Neue Zustellungen werden zurückgehalten.',
  'Endpoint resumed. Held deliveries are being sent.':
    'Endpunkt fortgesetzt. Zurückgehaltene Zustellungen werden gesendet.',
  'Endpoint saved. New events are routed by it.':
    'Endpunkt gespeichert. Neue Ereignisse richten sich danach.',
  'Events published while it was disabled were not kept for it.':
    'Ereignisse, die veröffentlicht wurden, während er deaktiviert war, wurden nicht für ihn aufgehoben.',
  'Failing since': 'Fehlerhaft seit',
  'Failures in a row': 'Fehler in Folge',
  'Held because': 'Zurückgehalten, weil',
  'Held deliveries are sent.': 'Zurückgehaltene Zustellungen werden gesendet.',
  'Its open deliveries are cancelled. This cannot be undone.':
    'Seine offenen Zustellungen werden storniert. Das lässt sich nicht rückgängig machen.',
  'New endpoint': 'Neuer Endpunkt',
  'New events are sent to the endpoint again.':
    'Neue Ereignisse werden wieder an den Endpunkt gesendet.',
  'No endpoints match these filters': 'Kein Endpunkt passt zu diesen Filtern',
  'Not all held deliveries are cancelled yet. Enable the endpoint again to cancel the rest.':
    'Noch sind nicht alle zurückgehaltenen Zustellungen storniert. Aktivieren Sie den Endpunkt noch einmal, um den Rest zu stornieren.',
  Open: 'Offen',
  'Ordering keys': 'Ordnungsschlüssel',
  'Pause endpoint': 'Endpunkt pausieren',
  'Use Recover to send the events it missed.':
    'Mit „Nachholen“ wird gesendet, was er verpasst hat.',
  'Rejected since its last success': 'Abgelehnt seit dem letzten Erfolg',
  'Resume endpoint': 'Endpunkt fortsetzen',
  Save: 'Speichern',
  'Send a test event': 'Testereignis senden',
  'Send a test event from its page, and check the response.':
    'Senden Sie ihm auf seiner Seite ein Testereignis, und sehen Sie, was er geantwortet hat.',
  Settings: 'Einstellungen',
  'Show the attempt': 'Versuch zeigen',
  'Subscribed to': 'Abonniert',
  'Test event delivered': 'Testereignis zugestellt',
  'Test event not delivered': 'Testereignis nicht zugestellt',
  'Test event sent, no response yet.': 'Testereignis gesendet, noch keine Antwort.',
  'The last 24 hours': 'Die letzten 24 Stunden',
  'There are many attempts: only those since {time} are counted.':
    'Es gibt viele Versuche: Gezählt sind nur die seit {time}.',
  'No endpoints yet': 'Noch keine Endpunkte',
  'This link is read-only. Ask for one that can manage endpoints to add the first.':
    'Mit diesem Link kann man nur lesen. Bitten Sie um einen, der Endpunkte verwalten kann, um den ersten anzulegen.',
  'Type of the test event': 'Typ des Testereignisses',
  'Svix ID': 'Svix-ID',
  UID: 'UID',
  'URL, description or UID': 'URL, Beschreibung oder UID',
  'backing off': 'wartet ab',
  'closed: deliveries are sent': 'geschlossen: Zustellungen werden gesendet',
  'in progress': 'läuft',
  'its secret or client key cannot be decrypted, since {time}. Its deliveries wait. Contact the operator of the service.':
    'sein Geheimnis oder sein Client-Schlüssel lässt sich nicht entschlüsseln, seit {time}. Seine Zustellungen warten. Wenden Sie sich an den Betreiber des Dienstes.',
  'open since {time}: deliveries are held, except for a probe {when}':
    'offen seit {time}: Zustellungen werden zurückgehalten, bis auf eine Probe {when}',
  'show all endpoints': 'alle Endpunkte zeigen',
  '{counts} or more': '{counts} oder mehr',
  '1 attempt since {time}: it responds, but rejects this event':
    '1 Versuch seit {time}: Er antwortet, nimmt dieses Ereignis aber nicht an',
  '{count} attempts since {time}: it responds, but rejects these events':
    '{count} Versuche seit {time}: Er antwortet, nimmt diese Ereignisse aber nicht an',
  '{count} being sent': '{count} werden gesendet',
  '{count} held': '{count} zurückgehalten',
  '{count} pending': '{count} ausstehend',
  '{count} waiting for their turn': '{count} warten, bis sie an der Reihe sind',
  '{link}: any https URL that responds with 200.':
    '{link}: irgendeine https-Adresse, die mit 200 antwortet.',

  // Secrets
  'A new secret is created. The old one also signs for a day, so that receivers can change over.':
    'Ein neues Geheimnis wird erzeugt. Das alte signiert noch einen Tag lang mit, damit Empfänger umstellen können.',
  'Automatic: base64 as in Standard Webhooks, otherwise text':
    'Automatisch: base64 wie bei Standard Webhooks, sonst Text',
  'For a receiver that already has a secret from another system. Enter it exactly as it is. Leave empty to generate one.':
    'Für einen Empfänger, der schon ein Geheimnis aus einem anderen System hat. Geben Sie es genau so ein. Leer: Postrider erzeugt eines.',
  'The key is the hex digits, decoded.':
    'Der Schlüssel sind die Bytes, für die die Hexziffern stehen.',
  'The key is the text as shown.': 'Der Schlüssel ist der Text, wie er hier steht.',
  'The key is the URL-safe base64, decoded.':
    'Der Schlüssel ist, was das URL-sichere base64 ergibt.',
  'The key is the base64 after the prefix, decoded.':
    'Der Schlüssel ist, was das base64 hinter dem Präfix ergibt.',
  'Receivers verify with its public key:': 'Empfänger prüfen mit seinem öffentlichen Schlüssel:',
  Rotate: 'Wechseln',
  'Rotate secret': 'Geheimnis wechseln',
  Secret: 'Geheimnis',
  'Secret encoding': 'Kodierung des Geheimnisses',
  'Secret rotated. The old one also signs until its overlap ends.':
    'Geheimnis gewechselt. Das alte signiert mit, bis seine Übergangszeit endet.',
  'Secret rotated. The old one no longer signs.':
    'Geheimnis gewechselt. Das alte signiert nicht mehr.',
  'Secret rotated. The old one also signs until its overlap ends. Show the secret: there is a warning about it.':
    'Geheimnis gewechselt. Das alte signiert mit, bis seine Übergangszeit endet. Zeigen Sie das Geheimnis an: Es gibt eine Warnung dazu.',
  'Show secret': 'Geheimnis zeigen',
  'Signing secret': 'Signaturgeheimnis',
  'Text as it is, as GitHub, Stripe, Convoy and Outpost do':
    'Text, wie er ist, wie bei GitHub, Stripe, Convoy und Outpost',
  'The previous secret also signs until {time}:':
    'Das vorige Geheimnis signiert noch bis {time} mit:',
  'URL-safe base64': 'URL-sicheres base64',
  'Verify every request with it:': 'Prüfen Sie damit jede Anfrage:',
  'Your own secret': 'Eigenes Geheimnis',
  'base64, as Standard Webhooks and Svix do': 'base64, wie bei Standard Webhooks und Svix',
  hex: 'hex',
  'the code for {name}': 'Code für {name}',
  'the public key': 'Öffentlichen Schlüssel',
  'the secret': 'Geheimnis',
  'the previous secret': 'Voriges Geheimnis',

  // The form of an endpoint
  'Choose from the catalogue': 'Aus dem Katalog wählen',
  'Continue with the next event of its key':
    'Mit dem nächsten Ereignis seines Schlüssels weitermachen',
  'Custom headers': 'Eigene Header',
  'Shape of requests': 'Form der Anfragen',
  'Type, time and data (Standard Webhooks)': 'Typ, Zeit und Daten (Standard Webhooks)',
  'The data alone': 'Nur die Daten',
  'ID, type, time and a link to the rest': 'ID, Typ, Zeit und ein Link zum Rest',
  'Type, time and chosen fields of the data': 'Typ, Zeit und ausgewählte Felder der Daten',
  'CloudEvents 1.0, structured': 'CloudEvents 1.0, strukturiert',
  'CloudEvents 1.0, binary': 'CloudEvents 1.0, binär',
  'A message for Slack': 'Eine Nachricht für Slack',
  'A message for Microsoft Teams': 'Eine Nachricht für Microsoft Teams',
  'A message for Discord': 'Eine Nachricht für Discord',
  'As Svix sends it': 'Wie Svix sie sendet',
  'Fields that are sent': 'Felder, die gesendet werden',
  'With chosen fields: one per line, such as `$.customer.name` or `$.items[0]`.':
    'Bei ausgewählten Feldern: eines je Zeile, wie `$.customer.name` oder `$.items[0]`.',
  'Text of the message': 'Text der Nachricht',
  'With a message: `{{type}}`, `{{timestamp}}` and `{{data.customer.name}}` stand for what the event has.':
    'Bei einer Nachricht: `{{type}}`, `{{timestamp}}` und `{{data.customer.name}}` stehen für das, was das Ereignis hat.',
  'Signature headers of other schemes': 'Signatur-Header anderer Verfahren',
  'For receivers that verify other signatures: one per line, as Name: value over what is signed.':
    'Für Empfänger, die anders prüfen: einer je Zeile, als Name: Wert over das, was signiert wird.',
  'Standard signature': 'Standard-Signatur',
  '{{type}}: {{data.number}}': '{{type}}: {{data.number}}',
  'X-Hub-Signature-256: sha256={hmac_hex} over {body}':
    'X-Hub-Signature-256: sha256={hmac_hex} over {body}',
  'Send webhook-signature': 'webhook-signature senden',
  'Only the headers above': 'Nur die Header darüber',
  Channels: 'Kanäle',
  'One per line. Only events published to one of them are sent. Leave empty for all events.':
    'Einer je Zeile: nur Ereignisse, die in einem davon veröffentlicht wurden. Leer lassen für alle Ereignisse.',
  'Filter on the data': 'Filter auf die Daten',
  'Headers, limits, retries, order, batches and shape':
    'Header, Grenzen, Wiederholungen, Reihenfolge, Stapel und Form',
  'In no particular order': 'In beliebiger Reihenfolge',
  'In order, for each ordering key': 'Der Reihe nach, je Ordnungsschlüssel',
  'In order, when an event has failed': 'Der Reihe nach, wenn ein Ereignis fehlgeschlagen ist',
  'Keep later events of its key until somebody decides':
    'Spätere Ereignisse seines Schlüssels zurückhalten, bis jemand entscheidet',
  'Leave empty for the default of the service.': 'Leer: die Vorgabe des Dienstes.',
  'Leave empty for the default schedule.': 'Leer: der übliche Zeitplan.',
  'A request is sent as soon as one of these is reached. Leave all empty to send each event separately. Your receiver must accept a list of events.':
    'Eine Anfrage wird gesendet, sobald eines davon erreicht ist. Alles leer: jedes Ereignis einzeln. Ihr Empfänger muss eine Liste von Ereignissen erwarten.',
  'Batches: several events in one request': 'Stapel: mehrere Ereignisse in einer Anfrage',
  'Max events in a request': 'Höchstens Ereignisse je Anfrage',
  'Max size of a request (bytes)': 'Höchstens Bytes je Anfrage',
  'Max wait of an event (milliseconds)': 'Höchstens Wartezeit eines Ereignisses (Millisekunden)',
  'Max concurrent requests': 'Höchstens gleichzeitige Anfragen',
  'Max requests per second': 'Höchstens Anfragen je Sekunde',
  'The last event would be sent. Nothing is saved yet.':
    'Das letzte Ereignis würde gesendet. Noch ist nichts gespeichert.',
  'The last event would not be sent. Nothing is saved yet.':
    'Das letzte Ereignis würde nicht gesendet. Noch ist nichts gespeichert.',
  'Of the last {count} events, {matching} would have been sent. Nothing is saved yet.':
    'Von den letzten {count} Ereignissen wären {matching} gesendet worden. Noch ist nichts gespeichert.',
  'One per line, as Name: value. *** stands for a secret value: leave it, and the value stays.':
    'Einer je Zeile, als Name: Wert. *** steht für einen geheimen Wert: Lassen Sie es stehen, bleibt der Wert.',
  'One per line: a name such as `invoice.paid`, a pattern such as `invoice.*`, or `*`. Every type when empty.':
    'Einer je Zeile: ein Name wie `invoice.paid`, ein Muster wie `invoice.*` oder `*`. Leer: jeder Typ.',
  'Of the events with the same ordering key, only the newest is sent, at the latest this long after the first. Leave empty to send every event.':
    'Von den Ereignissen mit demselben Ordnungsschlüssel wird nur das neueste gesendet, höchstens so lange nach dem ersten. Leer: jedes Ereignis wird gesendet.',
  'Only the newest: wait (milliseconds)': 'Nur das neueste: warten (Millisekunden)',
  'Only events whose data matches. Leave empty for all events.':
    'Nur Ereignisse, deren Daten passen. Leer: alle Ereignisse.',
  Order: 'Reihenfolge',
  Purpose: 'Zweck',
  'Secret headers': 'Geheime Header',
  'Seconds before the 2nd, 3rd, … attempt': 'Sekunden vor dem 2., 3., … Versuch',
  'The ordering key is part of the event.': 'Der Ordnungsschlüssel ist Teil des Ereignisses.',
  'Their names, comma separated. Headers that look like credentials are always secret; no value is shown again.':
    'Ihre Namen, durch Kommas getrennt. Header, die nach Zugangsdaten aussehen, sind immer geheim; kein Wert wird je wieder gezeigt.',
  'There are no events yet to try this against.':
    'Es gibt noch keine Ereignisse, an denen sich das ausprobieren ließe.',
  'Timeout (seconds)': 'Frist (Sekunden)',
  'Tried against the last events': 'An den letzten Ereignissen ausprobiert',
  'Try on the last events': 'An den letzten Ereignissen ausprobieren',
  URL: 'URL',
  'What it is for; at most 200 characters.': 'Wofür er da ist; höchstens 200 Zeichen.',
  'Would be sent': 'Würde gesendet',

  // What is set on an endpoint
  'Concurrent requests': 'Gleichzeitig',
  Shape: 'Form',
  Fields: 'Felder',
  Message: 'Nachricht',
  'Signature headers': 'Signatur-Header',
  Batches: 'Stapel',
  Headers: 'Header',
  'Only the newest': 'Nur das neueste',
  'Requests per second': 'Anfragen je Sekunde',
  'Retries after': 'Wiederholungen nach',
  Timeout: 'Zeit für die Antwort',
  'by ordering key': 'nach Ordnungsschlüssel',
  'every event': 'jedes Ereignis',
  'no limit': 'keine Grenze',
  'of an ordering key, after at most {span}': 'eines Ordnungsschlüssels, nach höchstens {span}',
  'up to {count} events or {bytes} bytes, after {span} at the latest':
    'bis zu {count} Ereignisse oder {bytes} Bytes, nach spätestens {span}',
  '{value} (default)': '{value} (Vorgabe)',

  // Recovery
  'Back to the endpoint': 'Zurück zum Endpunkt',
  'Choose what to send again, and since when, from the lists.':
    'Wählen Sie aus den Listen, was erneut gesendet wird und seit wann.',
  'Events it has missed': 'Ereignisse, die er verpasst hat',
  'Failed deliveries': 'Fehlgeschlagene Zustellungen',
  'Failed deliveries since {time}': 'Fehlgeschlagene Zustellungen seit {time}',
  'Missed events since {time}': 'Verpasste Ereignisse seit {time}',
  Progress: 'Fortschritt',
  Recover: 'Nachholen',
  'Recover deliveries': 'Zustellungen nachholen',
  Recovery: 'Nachholung',
  'Resends what this endpoint did not get, slowly enough for a receiver that has just recovered.':
    'Sendet erneut, was dieser Endpunkt nicht bekommen hat, langsam genug für einen Empfänger, der gerade erst wieder läuft.',
  Since: 'Seit',
  'The last 6 hours': 'Die letzten 6 Stunden',
  'The last 7 days': 'Die letzten 7 Tage',
  'The last hour': 'Die letzte Stunde',
  What: 'Was',
  '{count} were skipped.': '{count} wurden übersprungen.',
  '{done} of {all} are being sent again.': '{done} von {all} werden erneut gesendet.',

  // Ordering keys
  'A key is listed while one of its events waits for delivery.':
    'Ein Schlüssel steht hier, solange ein Ereignis von ihm auf seine Zustellung wartet.',
  Action: 'Aktion',
  'An attempt is in progress. Try again when it has ended.':
    'Ein Versuch läuft gerade. Versuchen Sie es noch einmal, wenn er geendet hat.',
  Event: 'Ereignis',
  'Event that is sent next': 'Ereignis, das als nächstes gesendet wird',
  'Events are now sent in no particular order. Waiting events are being sent.':
    'Ereignisse werden jetzt in beliebiger Reihenfolge gesendet. Was gewartet hat, wird gesendet.',
  Key: 'Schlüssel',
  'Nothing is waiting': 'Nichts wartet',
  'Nothing is waiting for this key, or this event is not waiting. The list shows the current state.':
    'Von diesem Schlüssel wartet nichts, oder das Ereignis ist keines, das auf ihn wartet. Die Liste zeigt, was wartet.',
  Retry: 'Erneut versuchen',
  'Send events as they come, in no particular order? Waiting events are sent, 100 a second.':
    'Ereignisse so schnell senden, wie sie kommen, in beliebiger Reihenfolge? Was wartet, wird gesendet, 100 je Sekunde.',
  'Send in no particular order': 'In beliebiger Reihenfolge senden',
  Skip: 'Überspringen',
  'Skip to': 'Springen zu',
  'Skip to it': 'Dorthin springen',
  'Skipped. The next event follows.': 'Übersprungen. Das nächste Ereignis folgt.',
  'Some are skipped. Skip again for the rest.':
    'Einige sind übersprungen. Überspringen Sie noch einmal für den Rest.',
  'The event is being sent again. When it is delivered, the next one follows.':
    'Das Ereignis wird erneut gesendet. Ist es zugestellt, folgt das nächste.',
  'The state of the event does not allow this. The list shows the current state.':
    'Das Ereignis ist nicht in einem Zustand, der das erlaubt. Die Liste zeigt, wie es jetzt ist.',
  Waiting: 'Wartend',
  'none yet': 'noch keine',

  // Deliveries
  'Any reason': 'Jeder Grund',
  'Any response': 'Jede Antwort',
  'Any time': 'Jederzeit',
  Attempts: 'Versuche',
  'Attempts in the last 24 hours': 'Versuche in den letzten 24 Stunden',
  'Before (UTC)': 'Vor (UTC)',
  Cancel: 'Stornieren',
  'Cancel delivery': 'Zustellung stornieren',
  'Deliveries appear here when an event matches one of your endpoints. To see the first, open one of {link} and send a test event.':
    'Hier stehen Zustellungen, sobald ein Ereignis zu einem Ihrer Endpunkte passt. Um die erste zu sehen, öffnen Sie einen {link} und senden Sie ein Testereignis.',
  Delivery: 'Zustellung',
  'Delivery cancelled. Nothing more is sent.':
    'Zustellung storniert. Es wird nichts mehr gesendet.',
  'Delivery of a deleted event': 'Zustellung eines Ereignisses, das es nicht mehr gibt',
  'Delivery of {type}': 'Zustellung von {type}',
  'Delivery retried. The next attempt is sent now.':
    'Zustellung wird erneut versucht. Der nächste Versuch wird jetzt gesendet.',
  'Delivery {id}': 'Zustellung {id}',
  'Event type': 'Ereignistyp',
  'Failed in 24 hours': 'In 24 Stunden fehlgeschlagen',
  Finished: 'Beendet',
  'From (UTC)': 'Von (UTC)',
  ID: 'ID',
  'ID or idempotency key': 'ID oder Idempotenzschlüssel',
  'Last 15 minutes': 'Letzte 15 Minuten',
  'Last 24 hours': 'Letzte 24 Stunden',
  'Last 7 days': 'Letzte 7 Tage',
  'Last hour': 'Letzte Stunde',
  'Next attempt': 'Nächster Versuch',
  'Only pending deliveries are listed by their next attempt.':
    'Nach dem nächsten Versuch stehen hier nur ausstehende Zustellungen.',
  'No attempt yet': 'Noch kein Versuch',
  'No deliveries match these filters': 'Keine Zustellung passt zu diesen Filtern',
  'No deliveries yet': 'Noch keine Zustellungen',
  'No further attempt is sent. You can retry the delivery later.':
    'Es wird kein weiterer Versuch gesendet. Sie können die Zustellung später erneut versuchen.',
  'None yet.': 'Noch keiner.',
  'None – finished': 'Keiner – beendet',
  'None: one attempt only': 'Keine: nur ein Versuch',
  Retries: 'Wiederholungen',
  Reason: 'Grund',
  Result: 'Ergebnis',
  'Retry delivery': 'Zustellung erneut versuchen',
  'Retry now': 'Jetzt erneut versuchen',
  'The delivery is finished. Its retry schedule restarts.':
    'Die Zustellung ist beendet. Ihr Zeitplan beginnt von vorn.',
  'The next attempt is sent now instead of waiting for the schedule.':
    'Der nächste Versuch wird jetzt gesendet, statt auf den Zeitplan zu warten.',
  'Time range': 'Zeitraum',
  Timeline: 'Zeitverlauf',
  Tries: 'Versuche',
  'event deleted': 'Ereignis gelöscht',
  'Ordering key': 'Ordnungsschlüssel',
  'Replaced by': 'Ersetzt durch',
  'show all deliveries': 'alle Zustellungen zeigen',
  'the delivery': 'der Zustellung',
  'your endpoints': 'Ihrer Endpunkte',
  '{span} later': '{span} später',
  '{failed} of the last {count} attempts failed':
    '{failed} der letzten {count} Versuche sind fehlgeschlagen',

  // What a delivery sent
  'Not sent yet. Insert the timestamp from the request.':
    'Noch nicht gesendet. Setzen Sie den Zeitstempel der Anfrage ein.',
  'Of attempt {number}, whose header is {header}.':
    'Von Versuch {number}, dessen Header {header} ist.',
  'Request body': 'Inhalt der Anfrage',
  'The command prints one of the signatures in it if the secret is right.':
    'Der Befehl gibt eine der Signaturen darin aus, wenn das Geheimnis stimmt.',
  'The data of this event was erased': 'Die Daten dieses Ereignisses wurden gelöscht',
  'The event was deleted, and with it the request body.':
    'Das Ereignis gibt es nicht mehr, und mit ihm das, was gesendet wurde.',
  'Verify the signature': 'Signatur prüfen',
  'as part of its batch': 'als Teil seines Stapels',
  'byte for byte as it was signed': 'Byte für Byte, wie signiert wurde',
  'in the shape that the endpoint has now: it was sent in another one':
    'in der Form, die der Endpunkt jetzt hat: gesendet wurde in einer anderen',
  'not kept': 'nicht aufbewahrt',
  'the body as sent': 'Inhalt, wie gesendet,',
  'the request as cURL': 'Anfrage als cURL',

  // Attempts
  'Response as received': 'Antwort, wie empfangen',
  'Attempt {number}': 'Versuch {number}',
  'Attempt {number} of {link}': 'Versuch {number} {link}',
  'Attempts appear here as they end. To see one, send a test event to one of {link}, from another tab.':
    'Hier stehen Versuche, sobald sie enden. Um einen zu sehen, senden Sie in einem anderen Tab ein Testereignis an einen {link}.',
  'Attempts as they end': 'Versuche, sobald sie enden',
  'Attempts over time': 'Versuche im Zeitverlauf',
  'Attempts per minute': 'Versuche je Minute',
  'Attempts per {count} minutes': 'Versuche je {count} Minuten',
  'Response body {number}': 'Inhalt der Antwort {number}',
  Ended: 'Geendet',
  'Response headers {number}': 'Header der Antwort {number}',
  'Request headers {number}': 'Header der Anfrage {number}',
  'No timings recorded': 'Keine Zeiten gemessen',
  'None.': 'Keine.',
  Outcome: 'Ausgang',
  'Request and response': 'Anfrage und Antwort',
  'Request and response of attempt {number}': 'Anfrage und Antwort von Versuch {number}',
  'Request as sent': 'Anfrage, wie gesendet',
  'Last attempts': 'Letzte Versuche',
  'Last responses': 'Letzte Antworten',
  Cause: 'Ursache',
  Response: 'Antwort',
  Sent: 'Gesendet',
  Share: 'Anteil',
  'Why attempts failed': 'Warum Versuche fehlschlugen',
  '{count} attempts alike': '{count} gleiche Versuche',
  'Response time': 'Antwortzeit',
  TLS: 'TLS',
  'This page needs JavaScript. The list of deliveries does not.':
    'Diese Seite braucht JavaScript. Die Liste der Zustellungen braucht keines.',
  'Time to first byte': 'Zeit bis zum ersten Byte',
  Took: 'Dauer',
  Try: 'Versuch',
  'attempt {number}': 'Versuch {number}',
  'by runner {name}': 'durch Runner {name}',
  'in the batch {id}': 'im Stapel {id}',
  Connect: 'Verbindung',
  DNS: 'DNS',
  'event erased': 'Ereignis gelöscht',
  'manual retry': 'von Hand erneut versucht',
  p50: 'p50',
  p95: 'p95',
  replay: 'Wiederholung',
  scheduled: 'nach Zeitplan',
  'test event': 'Testereignis',

  // Why an attempt did not deliver
  'Address not allowed': 'Adresse nicht erlaubt',
  'Response is not HTTP': 'Antwort ist kein HTTP',
  'HTTP 3xx response': 'Mit 3xx geantwortet',
  'HTTP 4xx response': 'Mit 4xx geantwortet',
  'HTTP 5xx response': 'Mit 5xx geantwortet',
  'Other HTTP response': 'Mit einem anderen Status geantwortet',
  'Certificate not trusted': 'Zertifikat nicht vertrauenswürdig',
  'Client certificate': 'Client-Zertifikat',
  'Connection closed': 'Verbindung geschlossen',
  'Connection refused': 'Verbindung abgelehnt',
  'Data erased': 'Daten gelöscht',
  'Failed in its batch': 'In seinem Stapel fehlgeschlagen',
  'Kept-alive connection closed': 'Offen gehaltene Verbindung geschlossen',
  'Name not found': 'Name nicht gefunden',
  'Name points to an address that is not allowed':
    'Name führt zu einer Adresse, die nicht erlaubt ist',
  'Name servers failed': 'Nameserver antworteten nicht',
  'No connection': 'Keine Verbindung',
  'No route': 'Kein Weg dorthin',
  'Not sent: error of this service': 'Nicht gesendet, durch einen Fehler dieses Dienstes',
  'Proxy failed': 'Proxy fehlgeschlagen',
  'Refused by the proxy': 'Vom Proxy abgelehnt',
  'Request cannot be sent': 'Anfrage lässt sich nicht senden',
  'Runner lost': 'Runner verloren',
  'Runner stopped': 'Runner angehalten',
  'TLS handshake failed': 'TLS-Handshake fehlgeschlagen',
  'TLS versions or ciphers differ': 'TLS-Versionen oder Verfahren passen nicht',
  'Timeout: TLS handshake': 'Zeitüberschreitung: TLS-Handshake',
  'Timeout: response': 'Zeitüberschreitung: Antwort',
  'Timeout: connection': 'Zeitüberschreitung: Verbindung',
  'Timeout: name lookup': 'Zeitüberschreitung: Namensauflösung',
  'URL not allowed': 'URL nicht erlaubt',

  // What to do about it
  'A wrong secret is the usual cause. Copy the signing secret again, and verify the body as received.':
    'Meist liegt es an einem falschen Geheimnis. Kopieren Sie das Signaturgeheimnis erneut, und prüfen Sie den Inhalt so, wie er ankam.',
  'Accept POST requests at this path.': 'Nehmen Sie unter diesem Pfad POST-Anfragen an.',
  'Allow larger bodies in your receiver and in the proxy in front of it.':
    'Erlauben Sie größere Anfragen in Ihrem Empfänger und im Proxy davor.',
  'Check that an HTTP server listens at this port.':
    'Prüfen Sie, ob an diesem Port ein HTTP-Server lauscht.',
  'Check that the receiver runs, and that its port is open to the internet.':
    'Prüfen Sie, ob der Empfänger läuft und sein Port aus dem Internet erreichbar ist.',
  'Check the URL and the headers of the endpoint.':
    'Prüfen Sie die URL und die Header des Endpunkts.',
  'Check the host in the URL, and that its DNS record is public.':
    'Prüfen Sie den Host in der URL, und ob sein DNS-Eintrag öffentlich ist.',
  'Check the path of the URL: nothing is there.': 'Prüfen Sie den Pfad der URL: Dort ist nichts.',
  'Check which client certificates your receiver accepts.':
    'Prüfen Sie, welche Client-Zertifikate Ihr Empfänger annimmt.',
  'Enable TLS 1.2 or 1.3 on the receiver.': 'Schalten Sie beim Empfänger TLS 1.2 oder 1.3 ein.',
  'Enter the URL that it redirects to. Redirects are not followed.':
    'Tragen Sie die URL ein, auf die er weiterleitet. Weiterleitungen wird nicht gefolgt.',
  'Look into the log of your receiver: it failed while it handled the request.':
    'Sehen Sie ins Protokoll Ihres Empfängers: Er scheiterte beim Bearbeiten der Anfrage.',
  'Look into the log of your receiver: it took the batch and named events as failed. Its response has to be JSON of at most 64 KiB.':
    'Sehen Sie ins Protokoll Ihres Empfängers: Er nahm den Stapel an und nannte Ereignisse als fehlgeschlagen. Seine Antwort muss JSON von höchstens 64 KiB sein.',
  'Look into the log of your receiver: it refused the request.':
    'Sehen Sie ins Protokoll Ihres Empfängers: Er hat die Anfrage abgelehnt.',
  'Postrider could not send it. Nothing is wrong with your receiver.':
    'Postrider konnte es nicht senden. An Ihrem Empfänger liegt es nicht.',
  'Renew the certificate, and serve it with its intermediate certificates.':
    'Erneuern Sie das Zertifikat, und liefern Sie es mit seinen Zwischenzertifikaten aus.',
  'Respond first and do slow work afterwards. Check firewalls in front of the receiver.':
    'Antworten Sie zuerst, und erledigen Sie Langsames danach. Prüfen Sie Firewalls vor dem Empfänger.',
  'Respond with a status of 200 to 299.': 'Antworten Sie mit einem Status von 200 bis 299.',
  'Set a limit of requests per second on the endpoint.':
    'Setzen Sie beim Endpunkt eine Grenze für Anfragen je Sekunde.',
  'The data of the event was erased. It cannot be sent.':
    'Die Daten des Ereignisses wurden gelöscht. Es lässt sich nicht senden.',
  'The receiver said that it is gone, so the endpoint was disabled. Enable it once the receiver is back.':
    'Der Empfänger meldete, dass es ihn nicht mehr gibt; darum wurde der Endpunkt deaktiviert. Aktivieren Sie ihn, sobald der Empfänger wieder läuft.',
  'Use a URL that starts with https.': 'Verwenden Sie eine URL, die mit https beginnt.',
  'Use an address that is public. Addresses of private networks are blocked.':
    'Verwenden Sie eine öffentliche Adresse. Adressen privater Netze sind gesperrt.',

  // Why a delivery is held
  'An earlier event with the same ordering key has not ended.':
    'Ein früheres Ereignis mit demselben Ordnungsschlüssel ist noch nicht fertig.',
  'No key of the service opens the secret or the client key of the endpoint.':
    'Kein Schlüssel des Dienstes öffnet das Geheimnis oder den Client-Schlüssel des Endpunkts.',
  'The endpoint is failing: only a probe is sent now and then.':
    'Der Endpunkt ist fehlerhaft: Nur ab und zu wird eine Probe gesendet.',
  'The endpoint is disabled.': 'Der Endpunkt ist deaktiviert.',
  'The endpoint is paused, or all deliveries are.':
    'Der Endpunkt ist pausiert, oder alle Zustellungen sind es.',
  'The tenant is suspended.': 'Der Mandant ist gesperrt.',

  // Events
  'Event (webhook-id)': 'Ereignis (webhook-id)',
  'Sent as (webhook-id)': 'Gesendet als (webhook-id)',
  'Event {type}': 'Ereignis {type}',
  'Events appear here when they are published, even if no endpoint gets them.':
    'Hier stehen Ereignisse, sobald sie veröffentlicht sind, auch wenn kein Endpunkt sie bekommt.',
  Happened: 'Geschehen',
  'ID, key or text in the data': 'ID, Schlüssel oder Text in den Daten',
  'Idempotency key': 'Idempotenzschlüssel',
  'The endpoint has changed since.': 'Er wurde seitdem geändert.',
  'No events match these filters': 'Kein Ereignis passt zu diesen Filtern',
  'No events yet': 'Noch keine Ereignisse',
  'Not before': 'Nicht vor',
  Published: 'Veröffentlicht',
  'No endpoint could have received it.': 'Es gibt keinen Endpunkt, der es hätte bekommen können.',
  Type: 'Typ',
  'Where it went': 'Wohin es ging',
  'Reason and next step': 'Warum, und wie es weitergeht',
  'Delivery state': 'Zustellstatus',
  'with masked data: its signature cannot be verified':
    'mit maskierten Daten: die Signatur lässt sich nicht prüfen',
  'a newer event of its ordering key: {link}':
    'ein neueres Ereignis mit demselben Ordnungsschlüssel: {link}',
  'The endpoint gets only the newest event of an ordering key: {link} replaced this one.':
    'Der Endpunkt bekommt nur das neueste Ereignis eines Ordnungsschlüssels: {link} hat dieses ersetzt.',
  'a newer event': 'ein neueres Ereignis',
  'cancelled for {count}': 'storniert für {count}',
  'collapsed for {count}': 'zusammengefasst für {count}',
  'delivered to {count}': 'zugestellt an {count}',
  'failed for {count}': 'fehlgeschlagen für {count}',
  'it was created after the event': 'er wurde nach dem Ereignis angelegt',
  'it was changed after the event; it would match now':
    'er wurde nach dem Ereignis geändert; so, wie er jetzt ist, würde es passen',
  'it was disabled': 'er war deaktiviert',
  'its event types do not include this one': 'er hat diesen Ereignistyp nicht abonniert',
  'its filter is not evaluated yet; a runner will do it':
    'sein Filter wurde noch nicht gefragt; das tut ein Runner',
  'no subscription': 'kein Abonnement',
  'not sent to {count}': 'nicht gesendet an {count}',
  'on hold for {count}': 'zurückgehalten für {count}',
  'show all events': 'alle Ereignisse zeigen',
  'the data': 'Daten',
  'it has channels, and the event was published to none of them':
    'er hat Kanäle, und das Ereignis wurde in keinem davon veröffentlicht',
  'the data does not pass its filter': 'die Daten passen nicht zu seinem Filter',
  'the data of the event was erased, so its filter cannot be evaluated':
    'die Daten des Ereignisses wurden gelöscht, darum lässt sich sein Filter nicht mehr fragen',
  'the event was a test of another endpoint': 'das Ereignis war ein Test eines anderen Endpunkts',
  'in progress for {count}': 'unterwegs für {count}',
  '{count} collapsed': '{count} zusammengefasst',
  '{count} delivered': '{count} zugestellt',
  '{count} failed or cancelled': '{count} fehlgeschlagen oder storniert',
  '{count} open': '{count} offen',

  // Event types
  'All event types': 'Alle Ereignistypen',
  'Event types appear here, with their schemas, once the sender describes them. Until then, an endpoint can subscribe to every type with {star}.':
    'Ereignistypen stehen hier mit ihren Schemata, sobald der Absender sie beschreibt. Bis dahin kann ein Endpunkt mit {star} jeden Typ abonnieren.',
  'Deprecated.': 'Veraltet.',
  'Earlier versions': 'Frühere Fassungen',
  Example: 'Beispiel',
  Name: 'Name',
  'No event types yet': 'Noch keine Ereignistypen',
  Schema: 'Schema',
  'Schema and example': 'Schema und Beispiel',
  'Schema and example of {name}': 'Schema und Beispiel von {name}',
  'Schema of version {version}': 'Schema der Fassung {version}',
  Version: 'Fassung',
  'Version {version}': 'Fassung {version}',
  'What a receiver gets': 'Was ein Empfänger bekommt',

  ...REFUSALS,
} as const

type Text = keyof typeof GERMAN

/** What the scripts of pages say. */
export const SCRIPT_TEXTS = [
  ...([
    'Close',
    'Connecting again …',
    'Copied',
    'Details',
    'Delete view {label}',
    'View {label} saved',
    'Continue',
    '{count} in the last minute',
    'Last attempt just now',
    'Last attempt {span} ago',
    'Live',
  ] as const),
  'Live. Some attempts were missed: see the list of deliveries',
  ...([
    'Open full page',
    'Open incidents: {count}',
    'Opened beside the list',
    'Pause',
    'Paused. {text}',
  ] as const),
  'Paused; {count} waiting',
  'Paused; {count} waiting, {dropped} more only in the list of deliveries',
  ...(['Resume', 'The browser did not allow copying', 'Time', 'Updated just now'] as const),
  ...(['Updated {span} ago', 'all', 'in {span}', 'just now', 'none', 'now', '{span} ago'] as const),
] as const satisfies readonly Text[]
