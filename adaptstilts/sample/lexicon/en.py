"""English: subject, verb, object, place, time. Events: past = base form = object."""

from __future__ import annotations

from adaptstilts.sample.grammar import Lexicon, Parts, Phrase, Segments, phrase

CLOSED = "DET the a an this; ADP in at by to on for; PRON my our; NUM two three; ADV yesterday"

PEOPLE = """
anna: Anna/PROPN
omar: Omar/PROPN
maria: Maria/PROPN
peter: Peter/PROPN
leila: Leila/PROPN
david: David/PROPN
sara: Sara/PROPN
ivan: Ivan/PROPN
teacher: the teacher
brother: my brother
sister: my sister
doctor: the doctor
neighbour: our neighbour
boy: the boy
"""

EVENTS = """
buy_book: bought/VERB = buy/VERB = a new/ADJ book
eat_apple: ate/VERB = eat/VERB = a red/ADJ apple
drink_tea: drank/VERB = drink/VERB = hot/ADJ tea
write_letter: wrote/VERB = write/VERB = a long/ADJ letter
read_newspaper: read/VERB = read/VERB = the newspaper
wash_dishes: washed/VERB = wash/VERB = the dishes
cook_soup: cooked/VERB = cook/VERB = a vegetable soup
play_football: played/VERB = play/VERB = football
play_guitar: played/VERB = play/VERB = the guitar
sing_song: sang/VERB = sing/VERB = an old/ADJ song
lose_keys: lost/VERB = lose/VERB = the keys
find_wallet: found/VERB = find/VERB = a black/ADJ wallet
sell_bicycle: sold/VERB = sell/VERB = an old/ADJ bicycle
repair_chair: repaired/VERB = repair/VERB = a broken/ADJ chair
open_window: opened/VERB = open/VERB = the window
close_door: closed/VERB = close/VERB = the door
call_friend: called/VERB = call/VERB = an old/ADJ friend
meet_friends: met/VERB = meet/VERB = two friends
buy_bread: bought/VERB = buy/VERB = fresh/ADJ bread
take_photos: took/VERB = take/VERB = many/ADJ photos
draw_tree: drew/VERB = draw/VERB = a big/ADJ tree
plant_flowers: planted/VERB = plant/VERB = white/ADJ flowers
catch_fish: caught/VERB = catch/VERB = a big/ADJ fish
sleep: slept/VERB = sleep/VERB = for two hours
learn_poem: learned/VERB = learn/VERB = a short/ADJ poem
tell_story: told/VERB = tell/VERB = a funny/ADJ story
help_man: helped/VERB = help/VERB = an old/ADJ man
break_cup: broke/VERB = break/VERB = a blue/ADJ cup
clean_floor: cleaned/VERB = clean/VERB = the floor
feed_cat: fed/VERB = feed/VERB = the black/ADJ cat
count_money: counted/VERB = count/VERB = the money
watch_film: watched/VERB = watch/VERB = an interesting/ADJ film
hear_music: listened/VERB = listen/VERB = to music
forget_umbrella: forgot/VERB = forget/VERB = the umbrella
carry_boxes: carried/VERB = carry/VERB = three heavy/ADJ boxes
paint_wall: painted/VERB = paint/VERB = the wall
cut_lemon: cut/VERB = cut/VERB = a yellow/ADJ lemon
drink_water: drank/VERB = drink/VERB = cold/ADJ water
ask_question: asked/VERB = ask/VERB = a difficult/ADJ question
pay_bill: paid/VERB = pay/VERB = the bill
"""

PLACES = """
market: at the market
park: in the park
school: at school
home: at home
kitchen: in the kitchen
station: at the station
library: in the library
garden: in the garden
cafe: in the café
office: at the office
river: by the river
hospital: in the hospital
"""

TIMES = """
yesterday: yesterday
last_week: last/ADJ week
monday: on Monday/PROPN
saturday: on Saturday/PROPN
two_days_ago: two days ago/ADV
evening: in the evening
morning: this morning
summer: last/ADJ summer
"""

PAIRS = """
rain: It rained all night. | The streets were wet in the morning.
alarm: The alarm clock did not ring. | Anna overslept.
ice: Omar slipped on the ice. | Omar broke his arm.
battery: The phone battery was empty. | Maria could not call anyone.
oven: The cake stayed in the oven too long. | The cake burned.
salt: There was too much salt in the soup. | Nobody wanted to eat the soup.
baby: The baby was hungry. | The baby began to cry.
fuel: The car ran out of petrol. | The driver had to walk to the petrol station.
snow: A lot of snow fell in the night. | The children built a snowman.
key: The woman lost her key. | The woman could not get into her flat.
ball: The boy kicked the ball against the window. | The glass broke.
sun: The girl lay in the sun for hours. | Her skin turned red.
exam: The student prepared well for the exam. | The student got the best mark.
tooth: Peter had a bad toothache. | Peter went to the dentist.
dog: A stranger came to the gate. | The dog barked loudly.
cage: The door of the cage was open. | The bird flew away.
plants: Nobody watered the plants. | The flowers dried up.
power: The electricity went out in the evening. | The family lit candles.
bus: Sara missed the bus. | Sara came to work late.
thief: A thief stole the bicycle. | The owner called the police.
birthday: It was grandmother's birthday. | The grandchildren brought presents.
dark: It was too dark for reading. | David switched on the lamp.
cold: Cold air came into the room. | Leila closed the window.
fire: The house was burning. | The firefighters came quickly.
joke: The teacher told a good joke. | The pupils laughed.
feet: The boy's feet had grown. | The boy needed bigger shoes.
tired: The worker had worked for twelve hours. | The worker fell asleep on the sofa.
computer: The computer suddenly broke down. | The author lost the whole text.
prices: The shop lowered its prices. | Many customers came.
suitcase: The suitcase was very heavy. | The traveller asked for help.
milk: The milk stood in the heat all day. | The milk turned sour.
bee: A bee stung the child. | The child's hand swelled up.
wind: A strong wind was blowing. | The man's hat flew away.
ducks: The girl threw bread into the pond. | The ducks swam closer.
bridge: There was an accident on the bridge. | The cars stood in a long queue.
glasses: The old man forgot his glasses. | The old man could not read the menu.
noise: The neighbours celebrated loudly all night. | Nobody in the building could sleep.
goal: Our team scored a goal in the last minute. | The fans cheered.
pipe: A water pipe burst in the bathroom. | The tenants called a plumber.
pocket: There was a hole in the pocket. | The coins fell out.
ticket: The passenger had no ticket. | The passenger paid a fine.
drought: It did not rain for months. | The farmer's harvest was poor.
rent: The rent became too expensive. | The couple moved to another flat.
lie: The boy lied to his friend. | The friend no longer trusted the boy.
lottery: The young man won the lottery. | The young man became rich overnight.
knife: The cook cut his finger. | The cook put a plaster on the wound.
onions: Grandfather chopped onions. | Grandfather's eyes filled with tears.
japan: Maria wanted to work in Japan. | Maria learned Japanese.
film: The film was very sad. | Many viewers cried.
internet: There was no internet connection. | The email could not be sent.
coffee: The guest drank three cups of coffee in the evening. | The guest lay awake until dawn.
flour: The baker had no flour left. | There was no fresh bread that day.
wallet: The man left his wallet at home. | The man could not pay at the restaurant.
bench: The bench was freshly painted. | The lady had a stain on her coat.
singer: The singer had a sore throat. | The concert was cancelled.
fog: There was thick fog over the airport. | The plane took off two hours late.
balloon: The child let go of the string. | The balloon rose into the sky.
mouse: The mouse saw the cat. | The mouse ran into its hole.
candle: The girl blew on the candle. | The flame went out.
ice_cream: The ice cream stood on the table for a long time. | The ice cream melted.
runner: The runner trained every day. | The runner won the race.
address: The address on the envelope was wrong. | The letter came back to the sender.
lost: The child got lost in the crowd. | The parents searched everywhere.
cows: The farmer forgot to shut the gate. | The cows ran onto the road.
"""


def clause(p: Parts) -> Segments:
    """Return a statement: Anna bought a new book at the market yesterday."""
    verb = phrase("did/AUX not/PART") + p.event[1] if p.negative else p.event[0]
    body = [("who", p.subject[0]), ("what", verb + p.event[2]), ("where", p.place)]
    return [("when", p.time), *body] if p.front else [*body, ("when", p.time)]


def question(what: str, p: Parts) -> Phrase:
    """Return a question: Where did Anna buy a new book?"""
    end = phrase("?")
    if what == "who":
        return phrase("who/PRON") + p.event[0] + p.event[2] + p.place + p.time + end
    if what == "what":
        return phrase("what/PRON did/AUX") + p.subject[0] + phrase("do/VERB") + p.place + p.time + end
    asked = phrase("where/ADV did/AUX" if what == "where" else "when/ADV did/AUX")
    return asked + p.subject[0] + p.event[1] + p.event[2] + end


LEXICON = Lexicon(
    code="en",
    closed=CLOSED,
    people=PEOPLE,
    events=EVENTS,
    places=PLACES,
    times=TIMES,
    pairs=PAIRS,
    asks=("What was the cause?", "What happened as a result?"),
    clause=clause,
    question=question,
    but=", but/CCONJ",
)
