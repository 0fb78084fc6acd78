/**
 * What customers read, English to German. A text that is not here cannot be said (`say`), so that none is left
 * without its translation; `{name}` stands for a value and has to be in both.
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
} as const
