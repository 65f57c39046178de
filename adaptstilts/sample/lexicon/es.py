"""Spanish: subject, verb, object, place, time. Events: verb = object."""

from __future__ import annotations

from adaptstilts.sample.grammar import Lexicon, Parts, Phrase, Segments, phrase

CLOSED = (
    "DET el la los las un una unos mi nuestra esta; ADP en a de durante por junto al; NUM dos tres;"
    " ADV ayer; PROPN Anna Omar María Pedro Leila David Sara Iván"
)

PEOPLE = """
anna: Anna
omar: Omar
maria: María
peter: Pedro
leila: Leila
david: David
sara: Sara
ivan: Iván
teacher: la profesora
brother: mi hermano
sister: mi hermana
doctor: el médico
neighbour: nuestra vecina
boy: el niño
"""

EVENTS = """
buy_book: compró/VERB = un libro nuevo/ADJ
eat_apple: comió/VERB = una manzana roja/ADJ
drink_tea: bebió/VERB = té caliente/ADJ
write_letter: escribió/VERB = una carta larga/ADJ
read_newspaper: leyó/VERB = el periódico
wash_dishes: lavó/VERB = los platos
cook_soup: preparó/VERB = una sopa de verduras
play_football: jugó/VERB = al fútbol
play_guitar: tocó/VERB = la guitarra
sing_song: cantó/VERB = una canción antigua/ADJ
lose_keys: perdió/VERB = las llaves
find_wallet: encontró/VERB = una cartera negra/ADJ
sell_bicycle: vendió/VERB = una bicicleta vieja/ADJ
repair_chair: arregló/VERB = una silla rota/ADJ
open_window: abrió/VERB = la ventana
close_door: cerró/VERB = la puerta
call_friend: llamó/VERB = a un viejo/ADJ amigo
meet_friends: se/PRON encontró/VERB = con/ADP dos amigos
buy_bread: compró/VERB = pan fresco/ADJ
take_photos: hizo/VERB = muchas/DET fotos
draw_tree: dibujó/VERB = un árbol grande/ADJ
plant_flowers: plantó/VERB = flores blancas/ADJ
catch_fish: pescó/VERB = un pez grande/ADJ
sleep: durmió/VERB = dos horas
learn_poem: aprendió/VERB = un poema corto/ADJ
tell_story: contó/VERB = una historia divertida/ADJ
help_man: ayudó/VERB = a un anciano
break_cup: rompió/VERB = una taza azul/ADJ
clean_floor: limpió/VERB = el suelo
feed_cat: dio/VERB = de comer/VERB al gato negro/ADJ
count_money: contó/VERB = el dinero
watch_film: vio/VERB = una película interesante/ADJ
hear_music: escuchó/VERB = música
forget_umbrella: olvidó/VERB = el paraguas
carry_boxes: cargó/VERB = tres cajas pesadas/ADJ
paint_wall: pintó/VERB = la pared
cut_lemon: cortó/VERB = un limón amarillo/ADJ
drink_water: bebió/VERB = agua fría/ADJ
ask_question: hizo/VERB = una pregunta difícil/ADJ
pay_bill: pagó/VERB = la cuenta
"""

PLACES = """
market: en el mercado
park: en el parque
school: en la escuela
home: en casa
kitchen: en la cocina
station: en la estación
library: en la biblioteca
garden: en el jardín
cafe: en la cafetería
office: en la oficina
river: junto/ADV al río
hospital: en el hospital
"""

TIMES = """
yesterday: ayer
last_week: la semana pasada/ADJ
monday: el lunes
saturday: el sábado
two_days_ago: hace/VERB dos días
evening: por la noche
morning: esta mañana
summer: el verano pasado/ADJ
"""

PAIRS = """
rain: Llovió toda la noche. | Las calles estaban mojadas por la mañana.
alarm: El despertador no sonó. | Anna se quedó dormida.
ice: Omar resbaló en el hielo. | Omar se rompió el brazo.
battery: La batería del teléfono estaba agotada. | María no pudo llamar a nadie.
oven: El pastel estuvo demasiado tiempo en el horno. | El pastel se quemó.
salt: Había demasiada sal en la sopa. | Nadie quería comer la sopa.
baby: El bebé tenía hambre. | El bebé empezó a llorar.
fuel: El coche se quedó sin gasolina. | El conductor tuvo que ir a pie a la gasolinera.
snow: Por la noche cayó mucha nieve. | Los niños hicieron un muñeco de nieve.
key: La mujer perdió su llave. | La mujer no pudo entrar en su piso.
ball: El niño lanzó el balón contra la ventana. | El cristal se rompió.
sun: La chica estuvo horas tumbada al sol. | Se le puso la piel roja.
exam: El estudiante se preparó bien para el examen. | El estudiante sacó la mejor nota.
tooth: A Pedro le dolía mucho una muela. | Pedro fue al dentista.
dog: Un desconocido se acercó a la puerta. | El perro ladró con fuerza.
cage: La puerta de la jaula estaba abierta. | El pájaro se fue volando.
plants: Nadie regó las plantas. | Las flores se secaron.
power: Por la noche se fue la luz. | La familia encendió velas.
bus: Sara perdió el autobús. | Sara llegó tarde al trabajo.
thief: Un ladrón robó la bicicleta. | El dueño llamó a la policía.
birthday: Era el cumpleaños de la abuela. | Los nietos trajeron regalos.
dark: Estaba demasiado oscuro para leer. | David encendió la lámpara.
cold: Entraba aire frío en la habitación. | Leila cerró la ventana.
fire: La casa estaba ardiendo. | Los bomberos llegaron rápidamente.
joke: La profesora contó un buen chiste. | Los alumnos se rieron.
feet: Al niño le habían crecido los pies. | El niño necesitaba zapatos más grandes.
tired: El obrero había trabajado doce horas. | El obrero se durmió en el sofá.
computer: El ordenador se estropeó de repente. | La autora perdió todo el texto.
prices: La tienda bajó los precios. | Vinieron muchos clientes.
suitcase: La maleta pesaba mucho. | El viajero pidió ayuda.
milk: La leche estuvo todo el día al calor. | La leche se agrió.
bee: Una abeja picó al niño. | Al niño se le hinchó la mano.
wind: Soplaba un viento fuerte. | Al hombre se le voló el sombrero.
ducks: La niña echó pan al estanque. | Los patos se acercaron nadando.
bridge: Hubo un accidente en el puente. | Los coches formaron una larga cola.
glasses: El anciano olvidó sus gafas. | El anciano no pudo leer el menú.
noise: Los vecinos estuvieron de fiesta toda la noche haciendo mucho ruido. | Nadie en el edificio pudo dormir.
goal: Nuestro equipo marcó un gol en el último minuto. | Los aficionados gritaron de alegría.
pipe: Se rompió una tubería en el baño. | Los inquilinos llamaron a un fontanero.
pocket: Había un agujero en el bolsillo. | Las monedas se cayeron.
ticket: El pasajero no tenía billete. | El pasajero pagó una multa.
drought: No llovió durante meses. | La cosecha del agricultor fue mala.
rent: El alquiler se volvió demasiado caro. | La pareja se mudó a otro piso.
lie: El niño mintió a su amigo. | El amigo ya no confiaba en el niño.
lottery: El joven ganó la lotería. | El joven se hizo rico de la noche a la mañana.
knife: El cocinero se cortó el dedo. | El cocinero se puso una tirita en la herida.
onions: El abuelo picó cebollas. | Al abuelo se le llenaron los ojos de lágrimas.
japan: María quería trabajar en Japón. | María aprendió japonés.
film: La película era muy triste. | Muchos espectadores lloraron.
internet: No había conexión a internet. | No se pudo enviar el correo electrónico.
coffee: El invitado bebió tres tazas de café por la noche. | El invitado estuvo despierto hasta el amanecer.
flour: Al panadero ya no le quedaba harina. | Aquel día no hubo pan fresco.
wallet: El hombre dejó la cartera en casa. | El hombre no pudo pagar en el restaurante.
bench: El banco estaba recién pintado. | La señora tenía una mancha en el abrigo.
singer: A la cantante le dolía la garganta. | El concierto fue cancelado.
fog: Había una niebla espesa sobre el aeropuerto. | El avión despegó con dos horas de retraso.
balloon: El niño soltó el hilo. | El globo subió al cielo.
mouse: El ratón vio al gato. | El ratón corrió a su agujero.
candle: La niña sopló la vela. | La llama se apagó.
ice_cream: El helado estuvo mucho tiempo sobre la mesa. | El helado se derritió.
runner: El corredor entrenó todos los días. | El corredor ganó la carrera.
address: La dirección del sobre era incorrecta. | La carta volvió al remitente.
lost: El niño se perdió entre la multitud. | Los padres buscaron por todas partes.
cows: El granjero olvidó cerrar el portón. | Las vacas salieron corriendo a la carretera.
"""


def clause(p: Parts) -> Segments:
    """Return a statement: Anna compró un libro nuevo en el mercado ayer."""
    verb = phrase("no/ADV") + p.event[0] if p.negative else p.event[0]
    body = [("who", p.subject[0]), ("what", verb + p.event[1]), ("where", p.place)]
    return [("when", p.time), *body] if p.front else [*body, ("when", p.time)]


def question(what: str, p: Parts) -> Phrase:
    """Return a question: ¿Dónde compró Anna un libro nuevo?"""
    if what == "who":
        return phrase("¿ quién/PRON") + p.event[0] + p.event[1] + p.place + p.time + phrase("?")
    if what == "what":
        return phrase("¿ qué/PRON hizo/VERB") + p.subject[0] + p.place + p.time + phrase("?")
    asked = phrase("¿ dónde/ADV" if what == "where" else "¿ cuándo/ADV")
    return asked + p.event[0] + p.subject[0] + p.event[1] + phrase("?")


LEXICON = Lexicon(
    code="es",
    closed=CLOSED,
    people=PEOPLE,
    events=EVENTS,
    places=PLACES,
    times=TIMES,
    pairs=PAIRS,
    asks=("¿Cuál fue la causa?", "¿Qué pasó como resultado?"),
    clause=clause,
    question=question,
    but=", pero/CCONJ",
)
