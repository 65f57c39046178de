"""German: the perfect tense, with time and place before the object. Events: affirmed = negated."""

from __future__ import annotations

from adaptstilts.sample.grammar import Lexicon, Parts, Phrase, Segments, phrase

CLOSED = (
    "DET der die das den dem ein eine einen kein keine keinen mein meine unser unsere; ADP in an am im vor auf bei zu"
    " um für; NUM zwei drei; PART nicht; PRON wer was; ADV gestern wo wann; AUX hat; PROPN Anna Omar Maria Peter Leila"
    " David Sara Ivan"
)

PEOPLE = """
anna: Anna
omar: Omar
maria: Maria
peter: Peter
leila: Leila
david: David
sara: Sara
ivan: Ivan
teacher: die Lehrerin
brother: mein Bruder
sister: meine Schwester
doctor: der Arzt
neighbour: unsere Nachbarin
boy: der Junge
"""

EVENTS = """
buy_book: ein neues/ADJ Buch gekauft/VERB = kein neues/ADJ Buch gekauft/VERB
eat_apple: einen roten/ADJ Apfel gegessen/VERB = keinen roten/ADJ Apfel gegessen/VERB
drink_tea: heißen/ADJ Tee getrunken/VERB = keinen heißen/ADJ Tee getrunken/VERB
write_letter: einen langen/ADJ Brief geschrieben/VERB = keinen langen/ADJ Brief geschrieben/VERB
read_newspaper: die Zeitung gelesen/VERB = die Zeitung nicht gelesen/VERB
wash_dishes: das Geschirr gespült/VERB = das Geschirr nicht gespült/VERB
cook_soup: eine Gemüsesuppe gekocht/VERB = keine Gemüsesuppe gekocht/VERB
play_football: Fußball gespielt/VERB = nicht Fußball gespielt/VERB
play_guitar: Gitarre gespielt/VERB = nicht Gitarre gespielt/VERB
sing_song: ein altes/ADJ Lied gesungen/VERB = kein altes/ADJ Lied gesungen/VERB
lose_keys: die Schlüssel verloren/VERB = die Schlüssel nicht verloren/VERB
find_wallet: eine schwarze/ADJ Geldbörse gefunden/VERB = keine schwarze/ADJ Geldbörse gefunden/VERB
sell_bicycle: ein altes/ADJ Fahrrad verkauft/VERB = kein altes/ADJ Fahrrad verkauft/VERB
repair_chair: einen kaputten/ADJ Stuhl repariert/VERB = keinen kaputten/ADJ Stuhl repariert/VERB
open_window: das Fenster geöffnet/VERB = das Fenster nicht geöffnet/VERB
close_door: die Tür geschlossen/VERB = die Tür nicht geschlossen/VERB
call_friend: einen alten/ADJ Freund angerufen/VERB = keinen alten/ADJ Freund angerufen/VERB
meet_friends: zwei Freunde getroffen/VERB = nicht zwei Freunde getroffen/VERB
buy_bread: frisches/ADJ Brot gekauft/VERB = kein frisches/ADJ Brot gekauft/VERB
take_photos: viele/DET Fotos gemacht/VERB = nicht viele/DET Fotos gemacht/VERB
draw_tree: einen großen/ADJ Baum gezeichnet/VERB = keinen großen/ADJ Baum gezeichnet/VERB
plant_flowers: weiße/ADJ Blumen gepflanzt/VERB = keine weißen/ADJ Blumen gepflanzt/VERB
catch_fish: einen großen/ADJ Fisch gefangen/VERB = keinen großen/ADJ Fisch gefangen/VERB
sleep: zwei Stunden geschlafen/VERB = nicht zwei Stunden geschlafen/VERB
learn_poem: ein kurzes/ADJ Gedicht gelernt/VERB = kein kurzes/ADJ Gedicht gelernt/VERB
tell_story: eine lustige/ADJ Geschichte erzählt/VERB = keine lustige/ADJ Geschichte erzählt/VERB
help_man: einem/DET alten/ADJ Mann geholfen/VERB = keinem/DET alten/ADJ Mann geholfen/VERB
break_cup: eine blaue/ADJ Tasse zerbrochen/VERB = keine blaue/ADJ Tasse zerbrochen/VERB
clean_floor: den Boden geputzt/VERB = den Boden nicht geputzt/VERB
feed_cat: die schwarze/ADJ Katze gefüttert/VERB = die schwarze/ADJ Katze nicht gefüttert/VERB
count_money: das Geld gezählt/VERB = das Geld nicht gezählt/VERB
watch_film: einen interessanten/ADJ Film gesehen/VERB = keinen interessanten/ADJ Film gesehen/VERB
hear_music: Musik gehört/VERB = keine Musik gehört/VERB
forget_umbrella: den Regenschirm vergessen/VERB = den Regenschirm nicht vergessen/VERB
carry_boxes: drei schwere/ADJ Kisten getragen/VERB = nicht drei schwere/ADJ Kisten getragen/VERB
paint_wall: die Wand gestrichen/VERB = die Wand nicht gestrichen/VERB
cut_lemon: eine gelbe/ADJ Zitrone geschnitten/VERB = keine gelbe/ADJ Zitrone geschnitten/VERB
drink_water: kaltes/ADJ Wasser getrunken/VERB = kein kaltes/ADJ Wasser getrunken/VERB
ask_question: eine schwierige/ADJ Frage gestellt/VERB = keine schwierige/ADJ Frage gestellt/VERB
pay_bill: die Rechnung bezahlt/VERB = die Rechnung nicht bezahlt/VERB
"""

PLACES = """
market: auf dem Markt
park: im Park
school: in der Schule
home: zu Hause
kitchen: in der Küche
station: am Bahnhof
library: in der Bibliothek
garden: im Garten
cafe: im Café
office: im Büro
river: am Fluss
hospital: im Krankenhaus
"""

TIMES = """
yesterday: gestern
last_week: letzte/ADJ Woche
monday: am Montag
saturday: am Samstag
two_days_ago: vor zwei Tagen
evening: am Abend
morning: heute/ADV Morgen
summer: letzten/ADJ Sommer
"""

PAIRS = """
rain: Es hat die ganze Nacht geregnet. | Die Straßen waren am Morgen nass.
alarm: Der Wecker hat nicht geklingelt. | Anna hat verschlafen.
ice: Omar ist auf dem Eis ausgerutscht. | Omar hat sich den Arm gebrochen.
battery: Der Akku des Telefons war leer. | Maria konnte niemanden anrufen.
oven: Der Kuchen war zu lange im Ofen. | Der Kuchen ist verbrannt.
salt: Es war zu viel Salz in der Suppe. | Niemand wollte die Suppe essen.
baby: Das Baby hatte Hunger. | Das Baby begann zu weinen.
fuel: Dem Auto ging das Benzin aus. | Der Fahrer musste zu Fuß zur Tankstelle gehen.
snow: In der Nacht ist viel Schnee gefallen. | Die Kinder haben einen Schneemann gebaut.
key: Die Frau hat ihren Schlüssel verloren. | Die Frau kam nicht in ihre Wohnung.
ball: Der Junge hat den Ball gegen das Fenster geschossen. | Das Glas ist zerbrochen.
sun: Das Mädchen lag stundenlang in der Sonne. | Ihre Haut wurde rot.
exam: Der Student hat sich gut auf die Prüfung vorbereitet. | Der Student hat die beste Note bekommen.
tooth: Peter hatte starke Zahnschmerzen. | Peter ging zum Zahnarzt.
dog: Ein Fremder kam ans Tor. | Der Hund bellte laut.
cage: Die Tür des Käfigs stand offen. | Der Vogel flog davon.
plants: Niemand hat die Pflanzen gegossen. | Die Blumen sind vertrocknet.
power: Am Abend ist der Strom ausgefallen. | Die Familie hat Kerzen angezündet.
bus: Sara hat den Bus verpasst. | Sara kam zu spät zur Arbeit.
thief: Ein Dieb hat das Fahrrad gestohlen. | Der Besitzer hat die Polizei gerufen.
birthday: Großmutter hatte Geburtstag. | Die Enkel haben Geschenke mitgebracht.
dark: Zum Lesen war es zu dunkel. | David hat die Lampe eingeschaltet.
cold: Kalte Luft kam ins Zimmer. | Leila hat das Fenster geschlossen.
fire: Das Haus brannte. | Die Feuerwehrleute kamen schnell.
joke: Die Lehrerin hat einen guten Witz erzählt. | Die Schüler haben gelacht.
feet: Die Füße des Jungen waren gewachsen. | Der Junge brauchte größere Schuhe.
tired: Der Arbeiter hatte zwölf Stunden gearbeitet. | Der Arbeiter schlief auf dem Sofa ein.
computer: Der Computer ging plötzlich kaputt. | Die Autorin hat den ganzen Text verloren.
prices: Das Geschäft hat die Preise gesenkt. | Viele Kunden sind gekommen.
suitcase: Der Koffer war sehr schwer. | Der Reisende bat um Hilfe.
milk: Die Milch stand den ganzen Tag in der Hitze. | Die Milch ist sauer geworden.
bee: Eine Biene hat das Kind gestochen. | Die Hand des Kindes ist angeschwollen.
wind: Es wehte ein starker Wind. | Dem Mann ist der Hut weggeflogen.
ducks: Das Mädchen warf Brot in den Teich. | Die Enten schwammen näher.
bridge: Auf der Brücke gab es einen Unfall. | Die Autos standen in einer langen Schlange.
glasses: Der alte Mann hat seine Brille vergessen. | Der alte Mann konnte die Speisekarte nicht lesen.
noise: Die Nachbarn haben die ganze Nacht laut gefeiert. | Niemand im Haus konnte schlafen.
goal: Unsere Mannschaft hat in der letzten Minute ein Tor geschossen. | Die Fans jubelten.
pipe: Im Badezimmer ist ein Wasserrohr geplatzt. | Die Mieter haben einen Klempner gerufen.
pocket: Die Tasche hatte ein Loch. | Die Münzen sind herausgefallen.
ticket: Der Fahrgast hatte keine Fahrkarte. | Der Fahrgast hat eine Strafe bezahlt.
drought: Es hat monatelang nicht geregnet. | Die Ernte des Bauern war schlecht.
rent: Die Miete wurde zu teuer. | Das Paar ist in eine andere Wohnung gezogen.
lie: Der Junge hat seinen Freund belogen. | Der Freund vertraute dem Jungen nicht mehr.
lottery: Der junge Mann hat im Lotto gewonnen. | Der junge Mann wurde über Nacht reich.
knife: Der Koch hat sich in den Finger geschnitten. | Der Koch hat ein Pflaster auf die Wunde geklebt.
onions: Großvater hat Zwiebeln gehackt. | Großvater kamen die Tränen.
japan: Maria wollte in Japan arbeiten. | Maria hat Japanisch gelernt.
film: Der Film war sehr traurig. | Viele Zuschauer haben geweint.
internet: Es gab keine Internetverbindung. | Die E-Mail konnte nicht gesendet werden.
coffee: Der Gast hat am Abend drei Tassen Kaffee getrunken. | Der Gast lag bis zum Morgengrauen wach.
flour: Der Bäcker hatte kein Mehl mehr. | An diesem Tag gab es kein frisches Brot.
wallet: Der Mann hat seine Geldbörse zu Hause gelassen. | Der Mann konnte im Restaurant nicht bezahlen.
bench: Die Bank war frisch gestrichen. | Die Dame hatte einen Fleck auf dem Mantel.
singer: Die Sängerin hatte Halsschmerzen. | Das Konzert wurde abgesagt.
fog: Über dem Flughafen lag dichter Nebel. | Das Flugzeug startete zwei Stunden zu spät.
balloon: Das Kind ließ die Schnur los. | Der Ballon stieg in den Himmel.
mouse: Die Maus hat die Katze gesehen. | Die Maus lief in ihr Loch.
candle: Das Mädchen hat die Kerze angepustet. | Die Flamme ging aus.
ice_cream: Das Eis stand lange auf dem Tisch. | Das Eis ist geschmolzen.
runner: Der Läufer hat jeden Tag trainiert. | Der Läufer hat das Rennen gewonnen.
address: Die Adresse auf dem Umschlag war falsch. | Der Brief kam zum Absender zurück.
lost: Das Kind hat sich in der Menge verlaufen. | Die Eltern haben überall gesucht.
cows: Der Bauer hat vergessen, das Tor zu schließen. | Die Kühe liefen auf die Straße.
"""


def clause(p: Parts) -> Segments:
    """Return a statement: Anna hat gestern auf dem Markt ein neues Buch gekauft."""
    who, has, when = ("who", p.subject[0]), ("has", phrase("hat/AUX")), ("when", p.time)
    rest = [("where", p.place), ("what", p.event[1 if p.negative else 0])]
    return [when, has, who, *rest] if p.front else [who, has, when, *rest]


def question(what: str, p: Parts) -> Phrase:
    """Return a question: Wo hat Anna ein neues Buch gekauft?"""
    if what == "who":
        return phrase("wer hat", CLOSED) + p.time + p.place + p.event[0] + phrase("?")
    if what == "what":
        return phrase("was hat", CLOSED) + p.subject[0] + p.time + p.place + phrase("gemacht/VERB ?")
    return phrase("wo hat" if what == "where" else "wann hat", CLOSED) + p.subject[0] + p.event[0] + phrase("?")


LEXICON = Lexicon(
    code="de",
    closed=CLOSED,
    people=PEOPLE,
    events=EVENTS,
    places=PLACES,
    times=TIMES,
    pairs=PAIRS,
    asks=("Was war die Ursache?", "Was ist daraufhin geschehen?"),
    clause=clause,
    question=question,
    but=", aber/CCONJ",
)
