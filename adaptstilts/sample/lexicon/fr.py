"""French: the perfect tense; subject, verb, object, place, time. Events: affirmed = negated."""

from __future__ import annotations

from adaptstilts.sample.grammar import Lexicon, Parts, Phrase, Segments, phrase

CLOSED = (
    "DET le la les l' un une des mon ma notre ce du; ADP à au de d' en pendant; NUM deux trois; ADV n' pas hier;"
    " AUX a; PROPN Anna Omar Marie Pierre Leïla David Sara Ivan"
)

PEOPLE = """
anna: Anna
omar: Omar
maria: Marie
peter: Pierre
leila: Leïla
david: David
sara: Sara
ivan: Ivan
teacher: l' enseignante
brother: mon frère
sister: ma sœur
doctor: le médecin
neighbour: notre voisine
boy: le garçon
"""

EVENTS = """
buy_book: a acheté/VERB un nouveau/ADJ livre = n' a pas acheté/VERB de nouveau/ADJ livre
eat_apple: a mangé/VERB une pomme rouge/ADJ = n' a pas mangé/VERB de pomme rouge/ADJ
drink_tea: a bu/VERB du thé chaud/ADJ = n' a pas bu/VERB de thé chaud/ADJ
write_letter: a écrit/VERB une longue/ADJ lettre = n' a pas écrit/VERB de longue/ADJ lettre
read_newspaper: a lu/VERB le journal = n' a pas lu/VERB le journal
wash_dishes: a lavé/VERB la vaisselle = n' a pas lavé/VERB la vaisselle
cook_soup: a préparé/VERB une soupe de légumes = n' a pas préparé/VERB de soupe de légumes
play_football: a joué/VERB au football = n' a pas joué/VERB au football
play_guitar: a joué/VERB de la guitare = n' a pas joué/VERB de la guitare
sing_song: a chanté/VERB une vieille/ADJ chanson = n' a pas chanté/VERB de vieille/ADJ chanson
lose_keys: a perdu/VERB les clés = n' a pas perdu/VERB les clés
find_wallet: a trouvé/VERB un portefeuille noir/ADJ = n' a pas trouvé/VERB de portefeuille noir/ADJ
sell_bicycle: a vendu/VERB un vieux/ADJ vélo = n' a pas vendu/VERB de vieux/ADJ vélo
repair_chair: a réparé/VERB une chaise cassée/ADJ = n' a pas réparé/VERB de chaise cassée/ADJ
open_window: a ouvert/VERB la fenêtre = n' a pas ouvert/VERB la fenêtre
close_door: a fermé/VERB la porte = n' a pas fermé/VERB la porte
call_friend: a appelé/VERB un vieil/ADJ ami = n' a pas appelé/VERB un vieil/ADJ ami
meet_friends: a rencontré/VERB deux amis = n' a pas rencontré/VERB deux amis
buy_bread: a acheté/VERB du pain frais/ADJ = n' a pas acheté/VERB de pain frais/ADJ
take_photos: a pris/VERB beaucoup/ADV de photos = n' a pas pris/VERB beaucoup/ADV de photos
draw_tree: a dessiné/VERB un grand/ADJ arbre = n' a pas dessiné/VERB de grand/ADJ arbre
plant_flowers: a planté/VERB des fleurs blanches/ADJ = n' a pas planté/VERB de fleurs blanches/ADJ
catch_fish: a pêché/VERB un gros/ADJ poisson = n' a pas pêché/VERB de gros/ADJ poisson
sleep: a dormi/VERB pendant deux heures = n' a pas dormi/VERB pendant deux heures
learn_poem: a appris/VERB un court/ADJ poème = n' a pas appris/VERB de court/ADJ poème
tell_story: a raconté/VERB une histoire drôle/ADJ = n' a pas raconté/VERB d' histoire drôle/ADJ
help_man: a aidé/VERB un vieil/ADJ homme = n' a pas aidé/VERB un vieil/ADJ homme
break_cup: a cassé/VERB une tasse bleue/ADJ = n' a pas cassé/VERB de tasse bleue/ADJ
clean_floor: a nettoyé/VERB le sol = n' a pas nettoyé/VERB le sol
feed_cat: a nourri/VERB le chat noir/ADJ = n' a pas nourri/VERB le chat noir/ADJ
count_money: a compté/VERB l' argent = n' a pas compté/VERB l' argent
watch_film: a regardé/VERB un film intéressant/ADJ = n' a pas regardé/VERB de film intéressant/ADJ
hear_music: a écouté/VERB de la musique = n' a pas écouté/VERB de musique
forget_umbrella: a oublié/VERB le parapluie = n' a pas oublié/VERB le parapluie
carry_boxes: a porté/VERB trois lourdes/ADJ caisses = n' a pas porté/VERB trois lourdes/ADJ caisses
paint_wall: a peint/VERB le mur = n' a pas peint/VERB le mur
cut_lemon: a coupé/VERB un citron jaune/ADJ = n' a pas coupé/VERB de citron jaune/ADJ
drink_water: a bu/VERB de l' eau froide/ADJ = n' a pas bu/VERB d' eau froide/ADJ
ask_question: a posé/VERB une question difficile/ADJ = n' a pas posé/VERB de question difficile/ADJ
pay_bill: a payé/VERB la facture = n' a pas payé/VERB la facture
"""

PLACES = """
market: au marché
park: au parc
school: à l' école
home: à la maison
kitchen: dans/ADP la cuisine
station: à la gare
library: à la bibliothèque
garden: dans/ADP le jardin
cafe: au café
office: au bureau
river: au bord de la rivière
hospital: à l' hôpital
"""

TIMES = """
yesterday: hier
last_week: la semaine dernière/ADJ
monday: lundi
saturday: samedi
two_days_ago: il/PRON y/PRON a/VERB deux jours
evening: le soir
morning: ce matin
summer: l' été dernier/ADJ
"""

PAIRS = """
rain: Il a plu toute la nuit. | Les rues étaient mouillées le matin.
alarm: Le réveil n'a pas sonné. | Anna ne s'est pas réveillée à temps.
ice: Omar a glissé sur la glace. | Omar s'est cassé le bras.
battery: La batterie du téléphone était vide. | Marie n'a pu appeler personne.
oven: Le gâteau est resté trop longtemps au four. | Le gâteau a brûlé.
salt: Il y avait trop de sel dans la soupe. | Personne ne voulait manger la soupe.
baby: Le bébé avait faim. | Le bébé s'est mis à pleurer.
fuel: La voiture est tombée en panne d'essence. | Le conducteur a dû aller à pied à la station-service.
snow: Beaucoup de neige est tombée pendant la nuit. | Les enfants ont fait un bonhomme de neige.
key: La femme a perdu sa clé. | La femme n'a pas pu entrer dans son appartement.
ball: Le garçon a lancé le ballon contre la fenêtre. | La vitre s'est cassée.
sun: La fille est restée des heures au soleil. | Sa peau est devenue rouge.
exam: L'étudiant s'est bien préparé à l'examen. | L'étudiant a eu la meilleure note.
tooth: Pierre avait très mal aux dents. | Pierre est allé chez le dentiste.
dog: Un inconnu s'est approché du portail. | Le chien a aboyé très fort.
cage: La porte de la cage était ouverte. | L'oiseau s'est envolé.
plants: Personne n'a arrosé les plantes. | Les fleurs se sont desséchées.
power: Le soir, il y a eu une panne d'électricité. | La famille a allumé des bougies.
bus: Sara a raté le bus. | Sara est arrivée en retard au travail.
thief: Un voleur a volé le vélo. | Le propriétaire a appelé la police.
birthday: C'était l'anniversaire de grand-mère. | Les petits-enfants ont apporté des cadeaux.
dark: Il faisait trop sombre pour lire. | David a allumé la lampe.
cold: De l'air froid entrait dans la pièce. | Leïla a fermé la fenêtre.
fire: La maison était en feu. | Les pompiers sont vite arrivés.
joke: L'enseignante a raconté une bonne blague. | Les élèves ont ri.
feet: Les pieds du garçon avaient grandi. | Le garçon avait besoin de chaussures plus grandes.
tired: L'ouvrier avait travaillé douze heures. | L'ouvrier s'est endormi sur le canapé.
computer: L'ordinateur est soudain tombé en panne. | L'auteure a perdu tout le texte.
prices: Le magasin a baissé ses prix. | Beaucoup de clients sont venus.
suitcase: La valise était très lourde. | Le voyageur a demandé de l'aide.
milk: Le lait est resté toute la journée à la chaleur. | Le lait a tourné.
bee: Une abeille a piqué l'enfant. | La main de l'enfant a enflé.
wind: Un vent fort soufflait. | Le chapeau de l'homme s'est envolé.
ducks: La fille a jeté du pain dans l'étang. | Les canards se sont approchés en nageant.
bridge: Il y a eu un accident sur le pont. | Les voitures formaient une longue file.
glasses: Le vieil homme a oublié ses lunettes. | Le vieil homme n'a pas pu lire le menu.
noise: Les voisins ont fait bruyamment la fête toute la nuit. | Personne dans l'immeuble n'a pu dormir.
goal: Notre équipe a marqué un but à la dernière minute. | Les supporters ont crié de joie.
pipe: Un tuyau d'eau a éclaté dans la salle de bains. | Les locataires ont appelé un plombier.
pocket: Il y avait un trou dans la poche. | Les pièces de monnaie sont tombées.
ticket: Le passager n'avait pas de billet. | Le passager a payé une amende.
drought: Il n'a pas plu pendant des mois. | La récolte du fermier a été mauvaise.
rent: Le loyer est devenu trop cher. | Le couple a déménagé dans un autre appartement.
lie: Le garçon a menti à son ami. | L'ami ne faisait plus confiance au garçon.
lottery: Le jeune homme a gagné à la loterie. | Le jeune homme est devenu riche du jour au lendemain.
knife: Le cuisinier s'est coupé le doigt. | Le cuisinier a mis un pansement sur la plaie.
onions: Grand-père a haché des oignons. | Les yeux de grand-père se sont remplis de larmes.
japan: Marie voulait travailler au Japon. | Marie a appris le japonais.
film: Le film était très triste. | Beaucoup de spectateurs ont pleuré.
internet: Il n'y avait pas de connexion à Internet. | Le courriel n'a pas pu être envoyé.
coffee: L'invité a bu trois tasses de café le soir. | L'invité est resté éveillé jusqu'à l'aube.
flour: Le boulanger n'avait plus de farine. | Il n'y avait pas de pain frais ce jour-là.
wallet: L'homme a laissé son portefeuille à la maison. | L'homme n'a pas pu payer au restaurant.
bench: Le banc venait d'être peint. | La dame avait une tache sur son manteau.
singer: La chanteuse avait mal à la gorge. | Le concert a été annulé.
fog: Il y avait un épais brouillard sur l'aéroport. | L'avion a décollé avec deux heures de retard.
balloon: L'enfant a lâché la ficelle. | Le ballon est monté dans le ciel.
mouse: La souris a vu le chat. | La souris a couru dans son trou.
candle: La fille a soufflé sur la bougie. | La flamme s'est éteinte.
ice_cream: La glace est restée longtemps sur la table. | La glace a fondu.
runner: Le coureur s'est entraîné tous les jours. | Le coureur a gagné la course.
address: L'adresse sur l'enveloppe était fausse. | La lettre est revenue à l'expéditeur.
lost: L'enfant s'est perdu dans la foule. | Les parents ont cherché partout.
cows: Le fermier a oublié de fermer la barrière. | Les vaches ont couru sur la route.
"""


def clause(p: Parts) -> Segments:
    """Return a statement: Anna a acheté un nouveau livre au marché hier."""
    body = [("who", p.subject[0]), ("what", p.event[1 if p.negative else 0]), ("where", p.place)]
    return [("when", p.time), ("", phrase(",")), *body] if p.front else [*body, ("when", p.time)]


def question(what: str, p: Parts) -> Phrase:
    """Return a question: Où est-ce qu'Anna a acheté un nouveau livre ?"""
    end: Phrase = (("\u00a0?", "PUNCT"),)  # a blank that does not break stands before the mark
    that = phrase("est-ce/ADV qu'/SCONJ" if p.subject[0][0][0][0] in "AOI" else "est-ce/ADV que/SCONJ")
    if what == "who":
        return phrase("qui/PRON") + p.event[0] + p.place + p.time + end
    if what == "what":
        return phrase("qu'/PRON") + that + p.subject[0] + phrase("a/AUX fait/VERB") + p.place + p.time + end
    return phrase("où/ADV" if what == "where" else "quand/ADV") + that + p.subject[0] + p.event[0] + end


LEXICON = Lexicon(
    code="fr",
    closed=CLOSED,
    people=PEOPLE,
    events=EVENTS,
    places=PLACES,
    times=TIMES,
    pairs=PAIRS,
    asks=("Quelle était la cause\u00a0?", "Que s'est-il passé ensuite\u00a0?"),
    clause=clause,
    question=question,
    but=", mais/CCONJ",
)
